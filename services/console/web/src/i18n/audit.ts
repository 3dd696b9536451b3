import type { Like } from './like'
export const zh = { at: '时间' }
export const en: Like<typeof zh> = { at: 'Time' }
