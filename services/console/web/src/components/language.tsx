/** To the other language, and back. */
import { Button } from 'antd'
import { useLanguage, useWords } from '../i18n'
import { useSession } from '../session'

export function OtherLanguage() {
  const words = useWords()
  const other = useLanguage() === 'en' ? 'zh-CN' : 'en'
  const { speak } = useSession()
  return (
    <Button type="text" lang={other} aria-label={words.top.languageLabel} onClick={() => speak(other)}>
      {words.top.language}
    </Button>
  )
}
