/** The console's texts: Chinese is the source, English is checked complete by its type. */
import type { Locale } from 'antd/es/locale'
import zhCN from 'antd/locale/zh_CN'
import { createContext, useContext } from 'react'
import type { Like } from './like'
import { zh } from './zh'

export type Words = Like<typeof zh>

export type Language = 'zh-CN' | 'en'

const WORDS: Record<Language, Words> = { 'zh-CN': zh, en: zh }
const LIBRARY: Record<Language, Locale> = { 'zh-CN': zhCN, en: zhCN }

/** Fetch the texts of a language, before anything is shown in it. Rejects where they cannot be had. */
export async function bring(language: Language): Promise<void> {
  if (language === 'en') ({ en: WORDS.en, library: LIBRARY.en } = await import('./en'))
}

export const LanguageContext = createContext<Language>('zh-CN')

export function useLanguage(): Language {
  return useContext(LanguageContext)
}

export function useWords(): Words {
  return WORDS[useLanguage()]
}

/** What the library's own parts say. */
export function libraryWords(language: Language): Locale {
  return LIBRARY[language]
}

/** The name of a value of a closed set; the value itself where it has none. */
export function named(names: Readonly<Record<string, string>>, value: string | null | undefined): string {
  return value ? (names[value] ?? value) : ''
}
