import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { httpControl } from '../packages/merlon/src/admin/http-control.ts'
import { openServer } from '../packages/merlon/src/app.ts'
import { welch } from './statistics.ts'

/*
 * Whether a refused sign-in tells an account that exists from one that does not: interleaved pairs of a wrong password of a
 * known account and of an unknown one, over HTTP. The bodies must be the same bytes, and Welch's t between the times below
 * 4.5 (AD-05).
 */

const pairs = Number(process.argv[2] ?? 2_000)
const warmupPairs = 50

const folder = mkdtempSync(join(tmpdir(), 'merlon-login-timing-'))
const server = await openServer({
  project: join(import.meta.dirname, 'projects/echo'),
  env: {
    MERLON_SERVER_PORT: '0',
    MERLON_STORE_FOLDER: folder,
    MERLON_RATE_LIMIT_FAILURES_MAX: '1000000',
    MERLON_RATE_LIMIT_ENABLED: 'false',
    MERLON_LOG_LEVEL: 'silent',
    MERLON_AUTHENTICATION_LOGIN_ATTEMPTS_MAX: '1000000',
  },
})
const { url, socket } = server.control
if (url === undefined || socket === undefined) throw new Error('the control plane is off')
const email = 'someone@example.com'
await httpControl({ socket }).call('users.create', {
  body: { tenant: 'default', name: 'someone', email, role: 'user', password: 'a long enough sentence' },
})
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** The microseconds until a refusal is read whole, and its body. */
async function refusal(account: string): Promise<{ micros: number; body: string }> {
  const began = process.hrtime.bigint()
  const headers = { 'Content-Type': 'application/json' }
  const asked = request(new URL('/api/auth/login', url), { method: 'POST', agent, headers })
  asked.end(JSON.stringify({ email: account, password: 'not the right one' }))
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const body = await text(answer)
  if (answer.statusCode !== 401) throw new Error(`expected 401, got ${answer.statusCode}: ${body}`)
  return { micros: Number(process.hrtime.bigint() - began) / 1_000, body }
}

const known: number[] = []
const unknown: number[] = []
const bodies = new Set<string>()
const kinds = [
  async () => known.push(keep(await refusal(email))),
  async () => unknown.push(keep(await refusal(`${randomBytes(4).toString('hex').slice(0, 7)}@example.com`))),
]
function keep({ micros, body }: { micros: number; body: string }): number {
  bodies.add(body)
  return micros
}
try {
  for (let pair = 0; pair < warmupPairs + pairs; pair++) {
    if (pair === warmupPairs) known.length = unknown.length = 0
    const [first, second] = randomBytes(1)[0]! % 2 === 0 ? kinds : [...kinds].reverse()
    await first?.()
    await second?.()
  }
  const { t, meanA, meanB } = welch(known, unknown)
  console.log(
    `sign-in refused: known account ${(meanA / 1_000).toFixed(2)} ms, unknown account ${(meanB / 1_000).toFixed(2)} ms, ${pairs} pairs, ${bodies.size} body: Welch's t ${t.toFixed(2)} (wanted below 4.5 either way)`,
  )
  process.exitCode = Math.abs(t) < 4.5 && bodies.size === 1 ? 0 : 1
} finally {
  agent.destroy()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}
