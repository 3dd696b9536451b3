/** A file to be sent: CSV or Excel. */
import { useRef } from 'react'
import { Button } from 'antd'
import { useWords } from '../../i18n'

export function FilePicker({ label, file, onChange }: { label: string; file: File | null; onChange: (file: File | null) => void }) {
  const words = useWords()
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={input}
        type="file"
        className="hear"
        tabIndex={-1}
        aria-label={label}
        accept=".csv,.xlsx,text/csv"
        onChange={(event) => {
          onChange(event.target.files?.[0] ?? null)
          // the same file may be chosen again once it was mended
          event.target.value = ''
        }}
      />
      <Button onClick={() => input.current?.click()}>{label}</Button>
      <span className={file ? undefined : 'faint'}>{file ? file.name : words.providing.lists.none_}</span>
    </>
  )
}
