import type { Like } from './like'
export const zh = {}
export const en: Like<typeof zh> = {}
