/** A password of one's own: at the first sign-in, and whenever somebody wants another. */
import { App, Button, Form, Input, Modal } from 'antd'
import { ask } from '../../api/client'
import { useDoing } from '../../api/asking'
import { CONSOLE, type Session } from '../../api/types'
import { useDefects } from '../../components/defects'
import { ProblemView } from '../../components/states'
import { useTitle } from '../../components/title'
import { useWords } from '../../i18n'
import { useSession } from '../../session'
import { Doorway } from './signin'

interface Given {
  current: string
  new: string
  again: string
}

function PasswordForm({ done }: { done: () => void }) {
  const words = useWords()
  const { take } = useSession()
  const doing = useDoing()
  const [form] = Form.useForm<Given>()
  useDefects(form, doing.problem)
  const save = async ({ current, new: chosen }: Given) => {
    const told = await doing.run(() =>
      ask<Session>(`${CONSOLE}/password`, { method: 'PUT', body: { current, new: chosen } }),
    )
    if (!told) return
    form.resetFields()
    take(told.data)
    done()
  }
  return (
    <Form form={form} layout="vertical" onFinish={(given: Given) => void save(given)} requiredMark={false}>
      {doing.problem && <ProblemView problem={doing.problem} />}
      <Form.Item name="current" label={words.password.current} rules={[{ required: true, message: words.signIn.needPassword }]}>
        <Input.Password autoComplete="current-password" />
      </Form.Item>
      <Form.Item
        name="new"
        label={words.password.new}
        extra={words.password.rule}
        rules={[{ required: true, min: 12, message: words.password.rule }]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="again"
        label={words.password.again}
        dependencies={['new']}
        rules={[
          { required: true, message: words.password.differ },
          ({ getFieldValue }) => ({
            validator: async (_, value: string) => {
              if (value && value !== getFieldValue('new')) throw new Error(words.password.differ)
            },
          }),
        ]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={doing.busy} block>
        {words.password.save}
      </Button>
    </Form>
  )
}

/** The forced change at the first sign-in. */
export function FirstPassword() {
  const words = useWords()
  const { signOut } = useSession()
  useTitle(words.password.title)
  return (
    <Doorway>
      <h1>{words.password.first}</h1>
      <p className="door-note">{words.password.firstMore}</p>
      <PasswordForm done={() => undefined} />
      <Button type="link" onClick={() => void signOut()}>
        {words.top.signOut}
      </Button>
    </Doorway>
  )
}

export function PasswordDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const words = useWords()
  const { message } = App.useApp()
  const done = () => {
    void message.success(words.password.done)
    onClose()
  }
  return (
    <Modal open={open} onCancel={onClose} title={words.password.title} footer={null} destroyOnHidden>
      <PasswordForm done={done} />
    </Modal>
  )
}
