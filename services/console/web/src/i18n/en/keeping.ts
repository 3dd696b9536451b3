import type { Like } from '../like'
import type { keeping as zh } from '../zh/keeping'

export const keeping: Like<typeof zh> = {
  assessment: {
    title: 'Assessment', lead: 'Reckoned from what the log holds; anybody can check it. A department sees its own and the whole.', month: 'Month', quarter: 'Quarter', year: 'Year', period: 'Period',
    bulletin: 'Open the bulletin', total: 'Whole', ranking: 'Ranking', none: 'Nothing in this period yet.', department: 'Department', score: 'Score', rank: 'Rank',
    rates: {
      on_demand: 'On-demand sharing', minute_level: 'Minute level', timeliness: 'Delivered in time', answers: 'Answered in time', quality: 'Quality', use: 'Resources used', satisfaction: 'Satisfaction',
    },
    provided: 'Provided', received: 'Received', objections: 'Objections', feedback: 'Feedback', weights: 'Weights', weightsNote: 'Scores are of 100, by these weights, which the data authority decides.',
    plotLabel: 'Departments ranked by score', profile: 'Figures', profileLabel: 'How far each figure is reached over the whole', part: (part, whole) => `${part} of ${whole}`, previous: 'Period before', change: 'Change',
  },
  admin: {
    title: 'Administration', lead: 'Departments, systems, accounts and tokens, the calendar and its clocks.',
    areas: { departments: 'Departments', systems: 'Systems', accounts: 'Accounts', tokens: 'Tokens', calendar: 'Calendar and clocks' },
    saved: 'Saved', name: 'Name', nameEn: 'Name in English', slug: 'Short name', uscc: 'Unified social credit code', division: 'Division', responsible: 'Responsible', handler: 'Handler', people: 'Offices',
    since: 'from', until: 'to', post: 'Post', phone: 'Phone', addDepartment: 'Register a department', appoint: 'Appoint', role: 'Role', current: 'now', history: 'Appointments',
    system: 'System', department: 'Department', database: 'Database', address: 'Address', protection: 'Protection level', addSystem: 'Register a system', code: 'Code', host: 'Host', port: 'Port', username: 'User', password: 'Password', description: 'Description',
    login: 'Login', roles: 'Roles', state: 'State', last: 'Last signed in', never: 'never signed in', addAccount: 'Open an account', locked: 'locked', disabled: 'disabled', mustChange: 'first password not changed', active: 'active',
    resetPassword: 'New password', unlock: 'Unlock', disable: 'Disable', enable: 'Enable', oneTime: 'First password (shown once)', oneTimeNote: 'Tell it to the person by a safe way; it is changed at the first sign-in.', external: 'single sign-on', sureReset: 'The password and all sessions end at once. Go on?',
    token: 'Token', addToken: 'Make a token', expires: 'Until', revoked: 'revoked', createdBy: 'Made by', created: 'Made', revoke: 'Revoke', sureRevoke: 'Programs with this token are refused at once. Revoke it?', tokenNote: 'Tokens are for programs, and shown once.', forEver: 'no end',
    calendar: 'Days of this place', calendarNote: "The national arrangement is built in; only this place's own days stand here. Open clocks are reckoned anew.", day: 'Day', working: 'working day', resting: 'day off', dayName: 'What it is', addDay: 'Enter a day',
    clocks: 'Clocks', clocksNote: 'A change holds for what begins from now on.', clock: 'Clock', days: 'Working days', warned: 'Warned before (working days)', urged: 'Urged every (working days)', source: 'Source', catalogueClocks: 'Clocks of the catalogue',
    search: 'Search', departmentNone: '(data authority)', readOnly: 'Only the data authority changes this.',
  },
}
