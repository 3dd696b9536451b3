/** Signing in: what the exchange promises on one side, the form on the other. */
import { Alert, Button, Form, Input } from 'antd'
import { ask, Refused, type Problem } from '../../api/client'
import { CONSOLE, type Session, type SignedOut } from '../../api/types'
import { Brand } from '../../components/frame'
import { OtherLanguage } from '../../components/language'
import { useTitle } from '../../components/title'
import { duration } from '../../format'
import { useLanguage, useWords } from '../../i18n'
import { useSession } from '../../session'
import { useState, type ReactNode } from 'react'

export function SignIn({ oidc }: { oidc: SignedOut['oidc'] }) {
  const words = useWords()
  const language = useLanguage()
  const { take } = useSession()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  useTitle(words.signIn.title)

  const submit = async (given: { login: string; password: string }) => {
    setBusy(true)
    setProblem(null)
    try {
      const { data } = await ask<Session>(`${CONSOLE}/session`, { method: 'POST', body: given })
      take(data)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      setProblem(error.problem)
      setBusy(false)
    }
  }
  const wait = problem?.retry_after_seconds
  return (
    <Doorway>
      <h1>{words.signIn.title}</h1>
      {problem && (
        <Alert
          type="error"
          role="alert"
          title={problem.title}
          description={wait ? words.signIn.locked(duration(wait * 1_000, language)) : problem.detail}
        />
      )}
      <Form layout="vertical" onFinish={(given) => void submit(given)} requiredMark={false} size="large">
        <Form.Item name="login" label={words.signIn.login} rules={[{ required: true, message: words.signIn.need }]}>
          <Input autoComplete="username" autoFocus autoCapitalize="none" spellCheck={false} />
        </Form.Item>
        <Form.Item
          name="password"
          label={words.signIn.password}
          rules={[{ required: true, message: words.signIn.needPassword }]}
        >
          <Input.Password autoComplete="current-password" />
        </Form.Item>
        <Button type="primary" htmlType="submit" block loading={busy}>
          {words.signIn.submit}
        </Button>
      </Form>
      {oidc && (
        <>
          <p className="door-or">{words.signIn.or}</p>
          <Button block size="large" href={oidc.begin}>
            {oidc.title}
          </Button>
        </>
      )}
      <p className="door-help">{words.signIn.help}</p>
    </Doorway>
  )
}

export function Doorway({ children }: { children: ReactNode }) {
  const words = useWords()
  const { points } = words.signIn
  return (
    <div className="door">
      <aside className="door-story" aria-label={words.product}>
        <div className="brand">
          <Brand />
          <span>
            <b>{words.product}</b>
            <small>{words.productLine}</small>
          </span>
        </div>
        <p className="door-lead">{words.signIn.lead}</p>
        <dl>
          <dt>{points.flow}</dt>
          <dd>{points.flowMore}</dd>
          <dt>{points.clock}</dt>
          <dd>{points.clockMore}</dd>
          <dt>{points.proof}</dt>
          <dd>{points.proofMore}</dd>
        </dl>
        <Streams />
      </aside>
      <main className="door-form">
        <div className="door-language">
          <OtherLanguage />
        </div>
        <div className="door-box">{children}</div>
      </main>
    </div>
  )
}

/** Streams that part and join: what the exchange does, drawn. */
function Streams() {
  return (
    <svg className="streams" viewBox="0 0 800 300" preserveAspectRatio="xMidYMax slice" aria-hidden="true">
      {[40, 92, 150, 205, 262].map((from, at) =>
        [60, 130, 190, 250].map((to, other) => (
          <path
            key={`${from}-${to}`}
            d={`M-10 ${from} C 260 ${from}, 300 150, 400 150 S 560 ${to}, 810 ${to}`}
            style={{ strokeWidth: 1 + ((at * 3 + other * 5) % 4), opacity: 0.1 + ((at + other) % 3) * 0.05 }}
          />
        )),
      )}
    </svg>
  )
}
