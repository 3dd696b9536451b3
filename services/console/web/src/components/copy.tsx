/** Text to take along: shown as it is, copied with one press. */
import { App, Button } from 'antd'
import { useWords } from '../i18n'

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const words = useWords()
  const { message } = App.useApp()
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    void message.success(words.copied)
  }
  return (
    <Button size="small" onClick={() => void copy()} aria-label={label ? `${words.copy}: ${label}` : words.copy}>
      {words.copy}
    </Button>
  )
}

export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div className="snippet">
      <CopyButton text={text} label={label} />
      <pre tabIndex={0} aria-label={label}>
        <code>{text}</code>
      </pre>
    </div>
  )
}
