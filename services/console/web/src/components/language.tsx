/** To the other language, and back. */
import { App, Button } from 'antd'
import { useLanguage, useWords } from '../i18n'
import { useSession } from '../session'

export function OtherLanguage() {
  const words = useWords()
  const other = useLanguage() === 'en' ? 'zh-CN' : 'en'
  const { speak } = useSession()
  const { message } = App.useApp()
  const change = () => speak(other).catch(() => message.error(words.state.away(words.product)))
  return (
    <Button type="text" lang={other} aria-label={words.top.languageLabel} onClick={() => void change()}>
      {words.top.language}
    </Button>
  )
}
