import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServer } from '../packages/merlon/src/app.ts'
import { mintKey } from '../packages/merlon/src/identity/key-format.ts'
import { welch } from './statistics.ts'

/*
 * Whether the time of a 401 tells a key that exists from one that does not: interleaved pairs of a wrong secret of a known
 * key and an unknown key, over HTTP, and Welch's t between them. Below 4.5 nobody can tell (AK-04).
 */

const pairs = Number(process.argv[2] ?? 10_000)
const warmupPairs = 3_000

const folder = mkdtempSync(join(tmpdir(), 'merlon-timing-'))
const server = await openServer({
  project: join(import.meta.dirname, 'projects/echo'),
  env: {
    MERLON_SERVER_PORT: '0',
    MERLON_STORE_FOLDER: folder,
    MERLON_RATE_LIMIT_FAILURES_MAX: '1000000',
    MERLON_LOG_LEVEL: 'silent',
  },
})
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const known = `key_${server.firstStart?.key.slice(4, 16)}`

/** The microseconds until a refusal is read whole. */
async function refusal(key: string): Promise<number> {
  const began = process.hrtime.bigint()
  const headers = {
    Authorization: `Bearer ${key}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
  }
  const asked = request(server.url, { method: 'POST', agent, headers }).end('{}')
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  if (answer.statusCode !== 401) throw new Error(`expected 401, got ${answer.statusCode}`)
  return Number(process.hrtime.bigint() - began) / 1_000
}

const wrongSecret: number[] = []
const unknownKey: number[] = []
const kinds = [
  async () => wrongSecret.push(await refusal(mintKey(randomBytes, known).text)),
  async () => unknownKey.push(await refusal(mintKey(randomBytes).text)),
]
try {
  for (let pair = 0; pair < warmupPairs + pairs; pair++) {
    if (pair === warmupPairs) wrongSecret.length = unknownKey.length = 0
    const [first, second] = randomBytes(1)[0]! % 2 === 0 ? kinds : [...kinds].reverse()
    await first?.()
    await second?.()
  }
  const { t, meanA, meanB } = welch(wrongSecret, unknownKey)
  console.log(
    `wrong secret ${meanA.toFixed(1)} µs, unknown key ${meanB.toFixed(1)} µs, ${pairs} pairs: Welch's t ${t.toFixed(2)} (wanted below 4.5 either way)`,
  )
  process.exitCode = Math.abs(t) < 4.5 ? 0 : 1
} finally {
  agent.destroy()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}
