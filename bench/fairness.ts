import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Generator } from './generator.ts'
import type { CallsResult } from './load.ts'
import { canPin } from './machine.ts'
import { keyPattern, main } from './merlon-project.ts'
import type { Target } from './requests.ts'
import { ServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { copyProject, home, work } from './work-folder.ts'

/*
 * Whether a tenant that calls at ten times its limit is felt by another: p99 of the other's calls beside it, to its p99 alone,
 * in turns (RL-06). The noisy one sends from a process of its own, over connections of its own.
 */

const rounds = Number(process.argv[2] ?? 15)
const limitPerSecond = 500
const noisy = { perSecond: 10 * limitPerSecond, connections: 64 }
const quiet = { perSecond: 400, connections: 8 }
const roundMs = 3_000
const ratioMax = 2

const project = copyProject(join(home, 'projects', 'echo'), 'fairness')
const perTenant = { name: 'tenant', per: ['tenant'], callsMax: limitPerSecond, windowMs: 1_000 }
const rateLimit = { callsMax: 1_000_000_000, rules: [perTenant] }
writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ name: 'bench', server: { port: 0 }, rateLimit }))

function merlon(...args: readonly string[]): string {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' }
  return execFileSync(process.execPath, [main, ...args, '--project', project], { encoding: 'utf8', env })
}

/** A tenant with a user of its own, and their key. */
function keyOfTenant(tenant: string): string {
  merlon('tenant', 'create', tenant)
  merlon('user', 'create', 'caller', '--tenant', tenant, '--role', 'user')
  const scopes = ['--scopes', 'read,write']
  const key = merlon('key', 'create', '--name', 'bench', '--user', 'caller', '--tenant', tenant, ...scopes).match(
    keyPattern,
  )
  if (key === null) throw new Error('key create printed no key')
  return key[0]
}

const keys = { noisy: keyOfTenant('noisy'), quiet: keyOfTenant('quiet') }
const [generatorCore, serverCore] = canPin() ? [0, 1] : [undefined, undefined]
const command = { argv: [main, 'start', '--project', project], cwd: project, core: serverCore, readyTimeoutMs: 60_000 }
const server = await ServerProcess.start(command)
const targetOf = (key: string): Target => ({
  ...{ port: server.port, path: '/mcp', revision: '2026-07-28', session: false, tool: 'echo', progress: false },
  key,
})
const generators = { noisy: new Generator(generatorCore), quiet: new Generator(generatorCore) }

async function send(who: 'noisy' | 'quiet', load: typeof noisy, durationMs: number): Promise<CallsResult> {
  return generators[who].calls({ target: targetOf(keys[who]), before: 0, stop: { durationMs }, ...load })
}

/** The quiet tenant's p99 in microseconds. Each of its calls has to be answered. */
async function quietP99(): Promise<number> {
  const { p99Micros, errors, firstError } = await send('quiet', quiet, roundMs)
  if (errors > 0) throw new Error(`the quiet tenant was refused ${errors} times: ${firstError}`)
  return p99Micros
}

const alone: number[] = []
const beside: number[] = []
let [sent, refused] = [0, 0]
try {
  await send('noisy', noisy, 5_000)
  for (let round = 0; round < rounds; round++) {
    alone.push(await quietP99())
    // It begins before the measurement and ends after it.
    const noise = send('noisy', noisy, roundMs + 1_000)
    beside.push(await quietP99())
    const { calls, errors } = await noise
    sent += calls
    refused += errors
  }
} finally {
  await server.stop()
  for (const generator of Object.values(generators)) generator.stop()
  rmSync(work, { recursive: true, force: true })
}

const ratio = median(beside.map((p99, round) => p99 / alone[round]!))
const share = ((100 * refused) / sent).toFixed(0)
console.log(
  `p99 of a tenant with ${quiet.perSecond} calls a second: ${median(alone).toFixed(0)} µs alone, ${median(beside).toFixed(0)} µs beside one that sends ${noisy.perSecond} where ${limitPerSecond} are allowed (${share} % refused); ${ratio.toFixed(2)} times (median of ${rounds} rounds, wanted at most ${ratioMax})`,
)
process.exitCode = ratio <= ratioMax ? 0 : 1
