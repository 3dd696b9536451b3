/** The quality rules of a resource: which kind, about which items, with what parameters. */
import { Button, Select } from 'antd'
import { useState } from 'react'
import type { Item, Rule } from '../../api/types'
import { useWords } from '../../i18n'
import { blankRule, parsed, type Fault, type ParameterName as Name, type Row, type RuleRow } from './draft'

/** What each kind asks for (services/core/quality.py); all take a condition, too. */
const PARAMETERS: Record<Rule['kind'], Name[]> = {
  required: [], pattern: ['pattern'], range: ['min', 'max'], enumeration: ['values'], code_list: ['list'], check_digit: ['scheme'], unique: [],
  compare: ['operator'], freshness: ['max_age_seconds'], consistent: ['resource', 'items'],
}
const KINDS = Object.keys(PARAMETERS) as Rule['kind'][]
const CHOICES: Partial<Record<Name, readonly string[]>> = { scheme: ['citizen_id', 'uscc'], operator: ['<', '<=', '=', '!=', '>=', '>'] }

interface Props {
  rules: RuleRow[]
  items: Row[]
  faults: Fault[]
  onChange: (rules: RuleRow[], pointer: string) => void
}

export function RulesTable({ rules, items, faults, onChange }: Props) {
  const words = useWords()
  const told = words.providing.rules
  const set = (row: number, change: Partial<RuleRow>) => onChange(rules.map((one) => (one.row === row ? { ...one, ...change } : one)), `/rules/r${row}`)
  const choices = items.filter((one) => one.name).map((one) => ({ value: one.name, label: one.title || one.name }))
  return (
    <>
      <p className="faint" style={{ marginBottom: 8 }}>{told.lead}</p>
      {rules.length > 0 && (
        <div className="table-scroll cells-scroll" tabIndex={0}>
          <table className="table cells">
            <caption className="hear">{words.providing.editor.rules}</caption>
            <thead>
              <tr>
                {([['id', 140], ['kind', 100], ['items', 220], ['parameters', 300], ['severity', 80]] as const).map(([name, width]) => (
                  <th key={name} scope="col" style={{ minWidth: width }}>{told[name]}</th>
                ))}
                <td />
              </tr>
            </thead>
            <tbody>
              {rules.map((one, at) => {
                const who = one.id || String(at + 1)
                const said = faults.filter((it) => it.pointer.startsWith(`/rules/r${one.row}`))
                return (
                  <tr key={one.row}>
                    <td>
                      <input id={`field-rules-r${one.row}`} className="mono" aria-label={`${who}: ${told.id}`} maxLength={40} value={one.id} aria-invalid={said.length > 0} onChange={(event) => set(one.row, { id: event.target.value })} />
                      {said.map((it) => <span key={it.detail} className="cell-said">{it.detail}</span>)}
                    </td>
                    <td>
                      <select aria-label={`${who}: ${told.kind}`} value={one.kind} onChange={(event) => set(one.row, { kind: event.target.value as Rule['kind'], parameters: {} })}>
                        {KINDS.map((kind) => <option key={kind} value={kind}>{told.kinds[kind]}</option>)}
                      </select>
                    </td>
                    <td>
                      <Select variant="borderless" style={{ width: '100%' }} mode="multiple" aria-label={`${who}: ${told.items}`} value={one.items} options={choices} showSearch={{ optionFilterProp: 'label' }} onChange={(value: string[]) => set(one.row, { items: value })} />
                    </td>
                    <td>
                      <div className="parameters">
                        {[...PARAMETERS[one.kind], 'when' as const].map((name) => (
                          <Parameter
                            key={`${one.kind} ${name}`}
                            name={name}
                            who={who}
                            type={items.find((it) => it.name === one.items[0])?.type ?? 'string'}
                            value={one.parameters[name]}
                            onChange={(value) => {
                              const { [name]: _, ...others } = one.parameters
                              set(one.row, { parameters: value === undefined ? others : { ...others, [name]: value } })
                            }}
                          />
                        ))}
                      </div>
                    </td>
                    <td>
                      <select aria-label={`${who}: ${told.severity}`} value={one.severity} onChange={(event) => set(one.row, { severity: event.target.value as Rule['severity'] })}>
                        {(['error', 'warning'] as const).map((value) => <option key={value} value={value}>{told.severities[value]}</option>)}
                      </select>
                    </td>
                    <td><button type="button" className="cell-act" aria-label={`${told.remove}: ${who}`} onClick={() => onChange(rules.filter((it) => it.row !== one.row), '/rules')}>×</button></td>
                  </tr>
                )
              })}
            </tbody>
          </table>
        </div>
      )}
      <Button style={{ marginTop: 10 }} onClick={() => onChange([...rules, blankRule()], '/rules')}>{told.add}</Button>
    </>
  )
}

interface ParameterProps {
  name: Name
  who: string
  type: Item['type']
  value: unknown
  onChange: (value: unknown) => void
}

function Parameter({ name, who, type, value, onChange }: ParameterProps) {
  const words = useWords()
  const told = words.providing.rules
  // what is typed stays as it is typed: 1. is on the way to 1.5
  const [text, setText] = useState(() => (Array.isArray(value) ? value.join(', ') : value === undefined || value === null ? '' : String(value)))
  const label = `${who}: ${told.names[name]}`
  const choices = CHOICES[name]
  if (choices) {
    return (
      <label>
        {told.names[name]}
        <select aria-label={label} value={typeof value === 'string' ? value : ''} onChange={(event) => onChange(event.target.value || undefined)}>
          <option value="" />
          {choices.map((one) => <option key={one} value={one}>{name === 'scheme' ? told.schemes[one as keyof typeof told.schemes] : one}</option>)}
        </select>
      </label>
    )
  }
  return (
    <label>
      {told.names[name]}
      <input
        aria-label={label}
        className={name === 'pattern' || name === 'when' ? 'mono' : undefined}
        {...(name === 'list' ? { list: 'code-lists' } : {})}
        value={text}
        autoComplete="off"
        onChange={(event) => {
          setText(event.target.value)
          onChange(parsed(name, event.target.value, type))
        }}
      />
    </label>
  )
}
