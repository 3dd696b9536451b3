/** Stands where a page failed, and says so; the rest of the console goes on. */
import { Button } from 'antd'
import { Component, type ReactNode } from 'react'
import { useWords } from '../i18n'

export class Broken extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null }

  static getDerivedStateFromError(error: Error) {
    return { error }
  }

  override render() {
    return this.state.error ? <Apology error={this.state.error} /> : this.props.children
  }
}

function Apology({ error }: { error: Error }) {
  const words = useWords()
  return (
    <main className="alone">
      <div className="problem" role="alert">
        <h1 className="problem-title">{words.state.broken}</h1>
        <p>{words.state.brokenMore}</p>
        <pre>{`${location.pathname}\n${error.name}: ${error.message}`}</pre>
        <Button type="primary" onClick={() => location.reload()}>
          {words.state.reload}
        </Button>
      </div>
    </main>
  )
}
