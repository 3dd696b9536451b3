/** The steps of a resource's life that are the reader's now, each with what follows from it. */
import { App, Button, Dropdown, Input, Modal } from 'antd'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { ask } from '../../api/client'
import { useDoing } from '../../api/asking'
import { CATALOG, type Action, type Resource } from '../../api/types'
import { ProblemView } from '../../components/states'
import { useWords } from '../../i18n'
import { useMe, useRoles } from '../../session'
import { GradeDialog } from './grade'

/** Whether the reader mounts data on a resource of `department`: the same question that the catalogue asks. */
export function useProvides(): (department: string) => boolean {
  const may = useRoles()
  const me = useMe()
  return (department) => may('administrator') || (may('provider') && me.department === department)
}

const REASONED: string[] = ['withdraw', 'reopen']

type Doable = Action | 'unmount' | 'regrade'

interface Props {
  resource: Resource
  etag: string | null
  done: () => void
}

/** What can be done with a resource, on its page. */
export function ResourceSteps({ resource, etag, done }: Props) {
  const words = useWords()
  const told = words.providing.step
  const navigate = useNavigate()
  const provides = useProvides()(resource.department)
  const may = useRoles()
  const [asked, setAsked] = useState<Doable | null>(null)
  const { actions, code } = resource
  if (!actions.length && !provides) return null
  const has = (action: Action) => actions.includes(action)
  const rest: Doable[] = [
    ...actions.filter((one) => ['recall', 'discard', 'withdraw', 'reopen'].includes(one) || (one === 'revise' && !provides)),
    ...(may('administrator') && resource.published ? (['regrade'] as const) : []),
    ...(provides && resource.mount ? (['unmount'] as const) : []),
  ]
  const name = (one: Doable) => (one === 'unmount' ? told.unmount : one === 'regrade' ? words.providing.grade.title : words.providing.steps[one])
  const mountable = provides && !resource.mount && (resource.published ?? resource.draft)?.sharing_type !== 'not_shared'
  return (
    <>
      {has('return') && <Button size="large" type="primary" onClick={() => void navigate(`/reviews/${code}`)}>{told.review}</Button>}
      {has('submit') && <Button size="large" onClick={() => void navigate(`/catalogue/${code}/edit`)}>{told.edit}</Button>}
      {has('revise') && provides && <Button size="large" onClick={() => setAsked('revise')}>{words.providing.steps.revise}</Button>}
      {mountable && <Button size="large" onClick={() => void navigate(`/catalogue/${code}/mount`)}>{told.mount}</Button>}
      {rest.length > 0 && (
        <Dropdown trigger={['click']} menu={{ items: rest.map((one) => ({ key: one, label: name(one), danger: one === 'withdraw' || one === 'unmount' })), onClick: ({ key }) => setAsked(key as Doable) }}>
          <Button size="large" aria-haspopup="menu">{told.more}</Button>
        </Dropdown>
      )}
      {asked === 'regrade' && resource.published && <GradeDialog resource={resource} terms={resource.published} etag={etag} onClose={() => setAsked(null)} done={done} />}
      {asked && asked !== 'regrade' && (
        <StepDialog
          resource={resource}
          etag={etag}
          action={asked}
          onClose={() => setAsked(null)}
          done={() => {
            if (asked === 'revise' || asked === 'reopen') void navigate(`/catalogue/${code}/edit`)
            else done()
          }}
        />
      )}
    </>
  )
}

export function StepDialog({ resource, etag, action, onClose, done }: Props & { action: Exclude<Doable, 'regrade'>; onClose: () => void }) {
  const words = useWords()
  const told = words.providing.step
  const { message } = App.useApp()
  const doing = useDoing()
  const [reason, setReason] = useState('')
  const reasoned = REASONED.includes(action)
  const name = action === 'unmount' ? told.unmount : words.providing.steps[action]
  const take = async () => {
    const path = `${CATALOG}/resources/${resource.code}`
    const taken = await doing.run(() =>
      action === 'unmount'
        ? ask(`${path}/mount`, { method: 'DELETE', etag })
        : ask(`${path}/steps`, { method: 'POST', etag, body: { action, reason: reason.trim() || null } }),
    )
    if (!taken) return
    void message.success(told.done)
    onClose()
    done()
  }
  return (
    <Modal
      open
      title={name}
      onCancel={onClose}
      onOk={() => void take()}
      okText={name}
      cancelText={words.cancel}
      confirmLoading={doing.busy}
      okButtonProps={{ disabled: reasoned && !reason.trim(), danger: action === 'withdraw' || action === 'unmount' }}
    >
      {doing.problem && <ProblemView problem={doing.problem} />}
      {action in told.sure && <p>{told.sure[action as keyof typeof told.sure]}</p>}
      {reasoned && (
        <label style={{ display: 'block', marginTop: 10 }}>
          {told.reason}
          <Input.TextArea value={reason} onChange={(event) => setReason(event.target.value)} autoSize={{ minRows: 2 }} maxLength={2_000} placeholder={told.needReason} />
        </label>
      )}
    </Modal>
  )
}
