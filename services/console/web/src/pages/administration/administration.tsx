/** What the data authority keeps: registers, accounts, tokens, the calendar and its clocks. */
import { Tabs } from 'antd'
import { useNavigate, useParams } from 'react-router'
import { PageHead } from '../../components/title'
import { useWords } from '../../i18n'
import { useRoles } from '../../session'
import { Accounts } from './accounts'
import { Calendar } from './calendar'
import { Departments, Systems } from './registers'
import { Tokens } from './tokens'

export default function Administration() {
  const words = useWords()
  const told = words.keeping.admin
  const may = useRoles()
  const navigate = useNavigate()
  const { area = 'departments' } = useParams()
  const parts = [
    { key: 'departments', children: <Departments /> },
    { key: 'systems', children: <Systems /> },
    ...(may('administrator') ? [{ key: 'accounts' as const, children: <Accounts /> }] : []),
    ...(may('administrator', 'auditor') ? [{ key: 'tokens' as const, children: <Tokens /> }] : []),
    { key: 'calendar', children: <Calendar /> },
  ] as { key: keyof typeof told.areas; children: React.ReactNode }[]
  return (
    <>
      <PageHead title={told.title} lead={may('administrator') ? told.lead : told.readOnly} />
      <Tabs
        activeKey={area}
        destroyOnHidden
        onChange={(next) => void navigate(`/administration/${next}`, { replace: true })}
        items={parts.map((one) => ({ ...one, label: told.areas[one.key] }))}
      />
    </>
  )
}
