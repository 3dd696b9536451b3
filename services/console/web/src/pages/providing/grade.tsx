/** Another grade for what is in force, at once: what becomes of the grants is shown before it is done. */
import { App, Form, Input, InputNumber, Modal, Radio } from 'antd'
import { useState } from 'react'
import { ask } from '../../api/client'
import { useAsk, useDoing } from '../../api/asking'
import { CATALOG, type Resource, type Terms, type Uses } from '../../api/types'
import { ProblemView, Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { number } from '../../format'
import { named, useLanguage, useWords } from '../../i18n'
import { useDepartments } from '../../session'

/** From the lowest to the highest; core data is no data of this exchange. */
const GRADES = ['general', 'important'] as const

interface Props {
  resource: Resource
  terms: Terms
  etag: string | null
  onClose: () => void
  done: () => void
}

export function GradeDialog({ resource, terms, etag, onClose, done }: Props) {
  const words = useWords()
  const told = words.providing.grade
  const { message } = App.useApp()
  const doing = useDoing()
  const now = { grade: terms.grade, level: terms.grade_level ?? null }
  const [grade, setGrade] = useState<Terms['grade']>(now.grade)
  const [level, setLevel] = useState<number | null>(now.level)
  const [reason, setReason] = useState('')
  const rank = (one: Terms['grade']) => GRADES.indexOf(one as (typeof GRADES)[number])
  const rises = rank(grade) > rank(now.grade) || (grade === now.grade && (level ?? 0) > (now.level ?? 0))
  const differs = grade !== now.grade || level !== now.level
  const take = async () => {
    const body = { grade, grade_level: level, reason: reason.trim() }
    if (!(await doing.run(() => ask(`${CATALOG}/resources/${resource.code}/grade`, { method: 'POST', etag, body })))) return
    void message.success(words.providing.step.done)
    onClose()
    done()
  }
  return (
    <Modal
      open
      width={760}
      title={told.title}
      onCancel={onClose}
      onOk={() => void take()}
      okText={rises ? told.actRising : told.act}
      cancelText={words.cancel}
      confirmLoading={doing.busy}
      okButtonProps={{ disabled: !differs || !reason.trim(), danger: rises }}
    >
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Form layout="vertical" component="div" requiredMark={false}>
        <div className="grid two">
          <Form.Item label={words.providing.editor.grade} extra={told.core}>
            <Radio.Group
              aria-label={words.providing.editor.grade}
              value={grade}
              onChange={(event) => setGrade(event.target.value as Terms['grade'])}
              options={GRADES.map((value) => ({ value, label: words.field.grades[value] }))}
            />
          </Form.Item>
          <Form.Item label={`${words.providing.editor.grade_level} ${words.providing.editor.optional}`} htmlFor="grade-level">
            <InputNumber id="grade-level" min={1} max={9} style={{ width: '100%' }} value={level} onChange={setLevel} />
          </Form.Item>
        </div>
        <Form.Item label={words.providing.step.reason} htmlFor="grade-reason">
          <Input.TextArea id="grade-reason" value={reason} onChange={(event) => setReason(event.target.value)} autoSize={{ minRows: 2 }} maxLength={2_000} />
        </Form.Item>
      </Form>
      {rises && terms.sharing_type === 'unconditional' && <p className="notice warn">{words.providing.hints.important}</p>}
      {differs && <Consequences code={resource.code} rises={rises} />}
    </Modal>
  )
}

function Consequences({ code, rises }: { code: string; rises: boolean }) {
  const words = useWords()
  const language = useLanguage()
  const told = words.providing.grade
  const departments = useDepartments()
  const asked = useAsk<Uses>(`${CATALOG}/resources/${code}/uses`)
  return (
    <Shown of={asked}>
      {({ items }) => (
        <div role="status" aria-live="polite">
          <p className={rises && items.length ? 'notice warn' : 'notice'}>
            {rises ? told.rises(number(items.length, language)) : told.stays(number(items.length, language))}
          </p>
          {items.length > 0 && (
            <DataTable
              caption={told.grants}
              rows={items}
              rowKey={(one) => one.grant}
              columns={[
                { key: 'department', title: words.catalogue.uses_.department, value: (one) => departments.name(one.department) },
                { key: 'purpose', title: words.catalogue.uses_.purpose, value: (one) => one.purpose },
                { key: 'channels', title: words.catalogue.uses_.channels, value: (one) => one.channels.map((it) => named(words.field.channels, it)).join(' · ') },
                {
                  key: 'then', title: told.then, value: () => (rises ? told.reopened : told.goesOn),
                  render: () => <Mark tone={rises ? 'bad' : 'ok'}>{rises ? told.reopened : told.goesOn}</Mark>,
                },
              ]}
            />
          )}
        </div>
      )}
    </Shown>
  )
}
