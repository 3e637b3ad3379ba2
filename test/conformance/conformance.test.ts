import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HeaderProxy, openProxy } from './proxy.ts'
import { isTasksExtension, required, unscored } from './scenarios.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { type Check, complaints, passed, type Revision, runSuite } from './suite.ts'

const startMs = 40_000
const suiteMs = 120_000

let server: ServerProcess
let proxy: HeaderProxy

beforeAll(async () => {
  server = await startServer('examples/conformance')
  proxy = await openProxy({
    upstreamPort: server.port,
    headers: { Authorization: `Bearer ${server.key}` },
    // The origin that examples/conformance/merlon.config.json allows.
    origin: 'http://localhost:4000',
  })
}, startMs)

afterAll(async () => {
  await proxy?.close()
  await server?.stop()
}, startMs)

describe.each<Revision>(['2025-11-25', '2026-07-28'])('the conformance suite, %s', (revision) => {
  let found: ReadonlyMap<string, readonly Check[]>
  beforeAll(async () => {
    found = await runSuite(`http://localhost:${proxy.port}/mcp`, revision, suiteMs)
  }, suiteMs)

  const outcome = (scenario: string) => {
    const checks = found.get(scenario)
    return { passed: passed(checks ?? []), complaints: complaints(checks) }
  }

  test.each(required[revision])('%s', (scenario) => {
    expect(outcome(scenario)).toEqual({ passed: true, complaints: [] })
  })

  test.each(unscored[revision])('%s, which is not scored', (scenario) => {
    expect(outcome(scenario)).toEqual({ passed: true, complaints: [] })
  })

  test('every scenario of the core protocol is judged here', () => {
    const judged = new Set([...required[revision], ...unscored[revision]])
    expect([...found.keys()].filter((scenario) => !judged.has(scenario) && !isTasksExtension(scenario))).toEqual([])
    expect(required[revision]).toHaveLength(revision === '2025-11-25' ? 30 : 37)
  })

  test(
    'without a key no scenario passes',
    async () => {
      expect((await fetch(server.url, { method: 'POST' })).status).toBe(401)
      const refused = await runSuite(server.url, revision, suiteMs)
      expect([...refused].filter(([, checks]) => passed(checks)).map(([scenario]) => scenario)).toEqual([])
      expect(refused.size).toBe(found.size)
    },
    suiteMs,
  )
})
