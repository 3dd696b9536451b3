/**
 * The console's look as tokens: one accent (stone green), quiet neutrals, colours of health that also differ in
 * lightness. `styles.css` holds the same colours as custom properties; Ant Design and the plots take them from here.
 */
import { theme, type ThemeConfig } from 'antd'

export type Mode = 'light' | 'dark'

export interface Colours {
  paper: string
  surface: string
  sunken: string
  ink: string
  ink2: string
  ink3: string
  line: string
  accent: string
  ok: string
  warn: string
  bad: string
  /** In the order in which series take them: told apart by people who see few colours, too. */
  series: string[]
}

export const COLOURS: Record<Mode, Colours> = {
  light: {
    paper: '#f4f6f5', surface: '#ffffff', sunken: '#edf0ef', ink: '#18222c', ink2: '#46535f', ink3: '#5f6b76',
    line: '#dde3e1', accent: '#0d6a6a', ok: '#2c7446', warn: '#8f5300', bad: '#b02a25',
    series: ['#0d6a6a', '#c2762a', '#44608f', '#9c4566', '#6a7f2d', '#7a6a9e', '#2f8fae', '#8a6d4c'],
  },
  dark: {
    paper: '#0e1417', surface: '#162025', sunken: '#1c282d', ink: '#e7eceb', ink2: '#b0bcbf', ink3: '#95a3a7',
    line: '#2b383d', accent: '#63c4b9', ok: '#74c894', warn: '#e5b05a', bad: '#f2938a',
    series: ['#63c4b9', '#e3a56a', '#8fabdc', '#d98aa8', '#b3c76f', '#b3a4d8', '#7cc6de', '#c9aa85'],
  },
}

export const FONT =
  '"PingFang SC", "HarmonyOS Sans SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", ' +
  'system-ui, -apple-system, "Segoe UI", sans-serif'

/** The theme of Ant Design in `mode`. */
export function themeOf(mode: Mode): ThemeConfig {
  const c = COLOURS[mode]
  return {
    algorithm: mode === 'dark' ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      colorPrimary: c.accent, colorInfo: c.accent, colorSuccess: c.ok, colorWarning: c.warn, colorError: c.bad,
      colorLink: c.accent, colorText: c.ink, colorTextSecondary: c.ink2, colorTextTertiary: c.ink3,
      colorTextPlaceholder: c.ink3, colorTextDescription: c.ink3, colorBgLayout: c.paper, colorBgContainer: c.surface,
      colorBgElevated: c.surface, colorBorder: mode === 'dark' ? '#5b6b71' : '#8b979c', colorBorderSecondary: c.line,
      colorTextLightSolid: mode === 'dark' ? '#08201e' : '#ffffff',
      fontFamily: FONT, fontSize: 14, borderRadius: 6, controlHeight: 34, wireframe: false, motionDurationMid: '0.12s',
      // styles.css takes animations away from who wants none: a dialogue that waits for the end of its own would stay unseen
      motion: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      motionDurationSlow: '0.16s', boxShadowSecondary: '0 6px 24px rgb(16 24 32 / 14%)',
    },
    components: {
      Button: { fontWeight: 500, primaryShadow: 'none', defaultShadow: 'none' },
      Form: { labelColor: c.ink2, itemMarginBottom: 18 },
      Tabs: { horizontalItemPadding: '10px 2px', horizontalItemGutter: 26, titleFontSize: 14 },
    },
  }
}
