/** The console's texts: Chinese is the source, English is checked complete by its type. */
import type { Locale } from 'antd/es/locale'
import { createContext, useContext } from 'react'
import type { Like } from './like'
import * as zh from './zh'

export type Words = Like<typeof zh.words>

export type Language = 'zh-CN' | 'en'

const TEXTS: Record<Language, { words: Words; library: Locale }> = { 'zh-CN': zh, en: zh }

/** Fetch the texts of a language, before anything is shown in it. Rejects where they cannot be had. */
export async function bring(language: Language): Promise<void> {
  if (language === 'en') TEXTS.en = await import('./en')
}

export const LanguageContext = createContext<Language>('zh-CN')

export function useLanguage(): Language {
  return useContext(LanguageContext)
}

export function useWords(): Words {
  return TEXTS[useLanguage()].words
}

/** What the library's own parts say. */
export function libraryWords(language: Language): Locale {
  return TEXTS[language].library
}

/** The name of a value of a closed set; the value itself where it has none. */
export function named(names: Readonly<Record<string, string>>, value: string | null | undefined): string {
  return value ? (names[value] ?? value) : ''
}
