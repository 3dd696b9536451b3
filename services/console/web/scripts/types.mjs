// Makes the types of the APIs anew from what a running exchange says of itself: `npm run types -- http://127.0.0.1:8900`.
import { execFileSync } from 'node:child_process'

const origin = process.argv[2]
if (!origin) {
  console.error('usage: npm run types -- <origin of a running console>')
  process.exit(2)
}
for (const service of ['catalog', 'demand', 'audit', 'watch', 'console']) {
  const from = `${origin}/api/${service}/v1/openapi.json`
  execFileSync('npx', ['openapi-typescript', from, '-o', `src/api/generated/${service}.d.ts`], { stdio: 'inherit' })
}
