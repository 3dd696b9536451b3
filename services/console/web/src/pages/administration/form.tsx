/**
 * A button that opens a form in a dialogue, sends it, and tells what the exchange says against it.
 *
 * No dialogue of the console locks the scrolling behind it: that would be a style element, which carries no nonce.
 */
import { App, Button, Form, Modal, type FormInstance } from 'antd'
import { useState, type ReactNode } from 'react'
import { useDoing } from '../../api/asking'
import { useDefects } from '../../components/defects'
import { ProblemView } from '../../components/states'
import { useWords } from '../../i18n'

interface Props<T> {
  action: string
  title: string
  initial?: object
  primary?: boolean
  /** Sends what was given; throws `Refused`. */
  send: (given: T) => Promise<unknown>
  done: () => void
  children: ReactNode | ((form: FormInstance<T>) => ReactNode)
}

export function FormDialog<T extends object>(props: Props<T>) {
  const words = useWords()
  const { message } = App.useApp()
  const doing = useDoing()
  const [open, setOpen] = useState(false)
  const [form] = Form.useForm<T>()
  useDefects(form, doing.problem)
  const send = async (given: T) => {
    const sent = await doing.run(async () => {
      await props.send(given)
      return true
    })
    if (!sent) return
    setOpen(false)
    form.resetFields()
    void message.success(words.state.saved)
    props.done()
  }
  return (
    <>
      <Button type={props.primary ? 'primary' : 'default'} size={props.primary ? 'middle' : 'small'} onClick={() => setOpen(true)}>
        {props.action}
      </Button>
      <Modal
        open={open}
        title={props.title}
        onCancel={() => {
          setOpen(false)
          doing.clear()
        }}
        onOk={() => form.submit()}
        okText={words.save}
        cancelText={words.cancel}
        confirmLoading={doing.busy}
        destroyOnHidden
      >
        {doing.problem && <ProblemView problem={doing.problem} />}
        <Form form={form} layout="vertical" initialValues={props.initial ?? {}} onFinish={(given: T) => void send(given)} requiredMark="optional">
          {typeof props.children === 'function' ? props.children(form) : props.children}
        </Form>
      </Modal>
    </>
  )
}
