import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openLocal } from '../packages/merlon/src/app.ts'
import { loadCatalog } from '../packages/merlon/src/catalog/load.ts'
import { loadConfig } from '../packages/merlon/src/config/load.ts'
import { handlersFor } from '../packages/merlon/src/dispatch/handlers.ts'
import { arrivalOf, gateWith } from '../packages/merlon/src/guard/arrival.fixture.ts'
import { mcp } from '../packages/merlon/src/guard/pipeline.ts'
import { Limiter } from '../packages/merlon/src/limit/limiter.ts'
import { rulesOf } from '../packages/merlon/src/limit/rules.ts'
import { MemoryLimitStore } from '../packages/merlon/src/store/memory/limit-store.ts'
import { callBytes } from './requests.ts'
import { median } from './statistics.ts'

/*
 * What each guard of a `tools/call` costs, in the order of the pipeline: one call is brought as far as the guard, and the
 * guard is run on it again and again. The store, the keys, the limits and the catalog are real; there is no socket.
 */

const rounds = 15
const runs = 10_000
/** Longer than the poll of the store takes to come round: what is remembered of a key is vouched for by it. */
const pollMs = 300
const roomy = 1_000_000_000

const folder = mkdtempSync(join(tmpdir(), 'merlon-guards-'))
const project = join(import.meta.dirname, 'projects/echo')
const { config, secrets } = loadConfig({ project, env: { MERLON_STORE_FOLDER: folder } })
const installation = await openLocal(project, config, secrets)
await installation.follow()
const key = (await installation.makeFirstKey())?.text ?? ''
const catalog = await loadCatalog(join(project, config.catalog.folder))

const startedAt = Date.now()
const gate = gateWith({
  // Stands still: a call that took a second would be asked again who sends it.
  clock: () => startedAt,
  steadyClock: () => Math.trunc(performance.now()),
  verify: (credential, { address }) => installation.verify(credential, 'mcp', address),
  limiter: new Limiter({
    store: new MemoryLimitStore(),
    // As they come, but for how much they let through.
    rules: rulesOf({
      ...config.rateLimit,
      callsMax: roomy,
      rules: config.rateLimit.rules.map((rule) => ({ ...rule, callsMax: roomy })),
    }),
    failuresMax: 10,
  }),
  audit: installation.audit,
  messageBytesMax: config.limits.messageBytesMax,
  methods: handlersFor(() => catalog),
})

/** The same call that the benchmark sends, as the transport hands it on. */
function callOf() {
  const revision = '2026-07-28' as const
  const target = { port: 4000, path: '/mcp', revision, session: false, tool: 'echo', progress: false, key }
  const { bytes } = callBytes(target, undefined, 'x'.repeat(32))
  const [head = '', body = ''] = bytes.toString().split('\r\n\r\n')
  const [, ...lines] = head.split('\r\n')
  const headers = lines.map((line) => line.split(': ', 2) as [string, string])
  return arrivalOf(
    {
      headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
      rawHeaders: headers.flat(),
      peerAddress: '127.0.0.1',
      body,
    },
    gate,
  )
}

async function microseconds(run: () => unknown): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    if (round % 5 === 0) await pause(pollMs)
    const began = performance.now()
    for (let at = 0; at < runs; at++) {
      const proof = run()
      if (proof instanceof Promise) await proof
    }
    times.push(((performance.now() - began) * 1_000) / runs)
  }
  return median(times.slice(3))
}

try {
  const fresh = callOf()
  const call: object = { ...fresh }
  const idle = await microseconds(() => undefined)
  let sum = 0
  console.log('| guard | µs a call |\n|---|---:|')
  for (const guard of mcp.guards) {
    const cost = Math.max(0, (await microseconds(() => guard(call))) - idle)
    sum += cost
    console.log(`| ${guard.name || 'peekLimits'} | ${cost.toFixed(2)} |`)
    Object.assign(call, await guard(call))
  }
  console.log(`| all of them, one by one | ${sum.toFixed(2)} |`)
  // All fields from the start, as the call of the transport has them, so that assigning to it changes no shape.
  const blank = Object.fromEntries(Object.keys(call).map((name) => [name, undefined]))
  const shaped = { ...blank, ...fresh }
  const whole = (await microseconds(() => mcp.run({ ...shaped }))) - (await microseconds(() => ({ ...shaped })))
  console.log(`| the chain as it runs | ${whole.toFixed(2)} |`)
} finally {
  await installation.close()
  rmSync(folder, { recursive: true, force: true })
}
