/** The place's own working days, and how many of them each clock runs. */
import { DatePicker, Form, Input, InputNumber, Segmented } from 'antd'
import type { Dayjs } from 'dayjs'
import { ask, Refused } from '../../api/client'
import { useAsk } from '../../api/asking'
import { CATALOG, DEMAND, type CalendarDay, type ClockLength } from '../../api/types'
import { Shown } from '../../components/states'
import { DataTable } from '../../components/table'
import { Mark } from '../../components/tag'
import { Section } from '../../components/title'
import { Day } from '../../components/when'
import { named, useWords } from '../../i18n'
import { useRoles } from '../../session'
import { FormDialog } from './form'

/** The ETag of what is at `path` now; null where nothing is there yet. */
async function etagOf(path: string): Promise<string | null> {
  try {
    return (await ask(path)).etag
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 404) return null
    throw error
  }
}

interface CatalogueClock {
  clock: string
  working_days: number
  source: string
}

export function Calendar() {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const days = useAsk<CalendarDay[]>(`${CATALOG}/place/calendar`)
  const clocks = useAsk<ClockLength[]>(`${DEMAND}/place/clocks`)
  const own = useAsk<CatalogueClock[]>(`${CATALOG}/place/clocks`)
  const admin = may('administrator')
  const put = async (path: string, body: object) => ask(path, { method: 'PUT', body, etag: await etagOf(path) })
  const need = [{ required: true, message: words.form.need }]
  return (
    <div className="stack">
      <Section
        title={told.calendar}
        note={told.calendarNote}
        aside={
          admin && (
            <FormDialog<{ day: Dayjs; working: boolean; name?: string }>
              action={told.addDay}
              title={told.addDay}
              primary
              initial={{ working: false }}
              done={days.reload}
              send={(given) => put(`${CATALOG}/place/calendar/${given.day.format('YYYY-MM-DD')}`, { working: given.working, name: given.name || null })}
            >
              <Form.Item name="day" label={told.day} rules={need}><DatePicker style={{ width: '100%' }} /></Form.Item>
              <Form.Item name="working" label={told.state}>
                <Segmented options={[{ value: true, label: told.working }, { value: false, label: told.resting }]} />
              </Form.Item>
              <Form.Item name="name" label={told.dayName}><Input /></Form.Item>
            </FormDialog>
          )
        }
      >
        <Shown of={days}>
          {(all) => (
            <DataTable
              caption={told.calendar}
              rows={all}
              rowKey={(one) => one.day}
              empty={words.none}
              columns={[
                { key: 'day', title: told.day, value: (one) => one.day, render: (one) => <Day on={one.day} /> },
                { key: 'working', title: told.state, value: (one) => (one.working ? told.working : told.resting), render: (one) => <Mark tone={one.working ? 'accent' : 'calm'}>{one.working ? told.working : told.resting}</Mark> },
                { key: 'name', title: told.dayName, value: (one) => one.name },
              ]}
            />
          )}
        </Shown>
      </Section>
      <Section title={told.clocks} note={told.clocksNote}>
        <Shown of={clocks}>
          {(all) => (
            <DataTable
              caption={told.clocks}
              rows={all}
              rowKey={(one) => one.clock}
              columns={[
                { key: 'clock', title: told.clock, value: (one) => named(words.field.clocks, one.clock) },
                { key: 'days', title: told.days, number: true, value: (one) => one.working_days },
                { key: 'warned', title: told.warned, number: true, value: (one) => one.warned_before },
                { key: 'urged', title: told.urged, number: true, value: (one) => one.urged_every },
                { key: 'source', title: told.source, value: (one) => one.source },
                {
                  key: 'do', title: words.edit, value: () => null,
                  render: (one) =>
                    admin && (
                      <FormDialog<ClockLength>
                        action={words.edit}
                        title={named(words.field.clocks, one.clock)}
                        initial={one}
                        done={clocks.reload}
                        send={({ working_days, warned_before, urged_every, source }) => put(`${DEMAND}/place/clocks/${one.clock}`, { working_days, warned_before, urged_every, source })}
                      >
                        <Form.Item name="working_days" label={told.days} rules={need}><InputNumber min={0} max={250} /></Form.Item>
                        <Form.Item name="warned_before" label={told.warned} rules={need}><InputNumber min={0} max={250} /></Form.Item>
                        <Form.Item name="urged_every" label={told.urged} rules={need}><InputNumber min={1} max={250} /></Form.Item>
                        <Form.Item name="source" label={told.source} rules={need}><Input /></Form.Item>
                      </FormDialog>
                    ),
                },
              ]}
            />
          )}
        </Shown>
      </Section>
      <Section title={told.catalogueClocks}>
        <Shown of={own}>
          {(all) => (
            <DataTable
              caption={told.catalogueClocks}
              rows={all}
              rowKey={(one) => one.clock}
              columns={[
                { key: 'clock', title: told.clock, value: (one) => named(words.field.clocks, one.clock) },
                { key: 'days', title: told.days, number: true, value: (one) => one.working_days },
                { key: 'source', title: told.source, value: (one) => one.source },
              ]}
            />
          )}
        </Shown>
      </Section>
    </div>
  )
}
