/** The console's texts: Chinese is the source, English is checked complete by its type. */
import { createContext, useContext } from 'react'
import * as audit from './audit'
import * as catalogue from './catalogue'
import * as data from './data'
import * as demands from './demands'
import * as field from './field'
import * as frame from './frame'
import * as keeping from './keeping'
import type { Like } from './like'
import * as overview from './overview'
import * as providing from './providing'
import * as running from './running'

const zh = {
  ...frame.zh,
  field: field.zh,
  catalogue: catalogue.zh,
  ...demands.zh,
  data: data.zh,
  overview: overview.zh,
  audit: audit.zh,
  keeping: keeping.zh,
  providing: providing.zh,
  running: running.zh,
}

export type Words = Like<typeof zh>

const en: Words = {
  ...frame.en,
  field: field.en,
  catalogue: catalogue.en,
  ...demands.en,
  data: data.en,
  overview: overview.en,
  audit: audit.en,
  keeping: keeping.en,
  providing: providing.en,
  running: running.en,
}

export type Language = 'zh-CN' | 'en'

const WORDS: Record<Language, Words> = { 'zh-CN': zh, en }

export const LanguageContext = createContext<Language>('zh-CN')

export function useLanguage(): Language {
  return useContext(LanguageContext)
}

export function useWords(): Words {
  return WORDS[useLanguage()]
}

export function wordsOf(language: Language): Words {
  return WORDS[language]
}

/** The name of a value of a closed set; the value itself where it has none. */
export function named(names: Readonly<Record<string, string>>, value: string | null | undefined): string {
  return value ? (names[value] ?? value) : ''
}
