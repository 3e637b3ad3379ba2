import { randomBytes } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Control } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { openServer, type Server } from '../../packages/merlon/src/app.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { ReplicaProcess } from '../chaos/replica-process.ts'

/** Bounds of the servers under test: small, so that a history reaches them. */
export const bounds = { eventsMax: 60, historyMs: 60_000, idleMs: 1_200_000, sweepMs: 1_000, sessionsMax: 4 }

const settings: ConfigInput = {
  name: 'model',
  server: { port: 0 },
  admin: { port: 0 },
  catalog: { folder: join(import.meta.dirname, 'project/src') },
  session: {
    durationMs: 7_200_000,
    idleMs: bounds.idleMs,
    sweepMs: bounds.sweepMs,
    perPrincipalMax: bounds.sessionsMax,
  },
  resumability: { eventsMax: bounds.eventsMax, historyMs: bounds.historyMs },
  // Clocks are set forward, and calls stay.
  limits: { callTimeoutMs: 2_000_000_000, eventLoopDelayMsMax: 60_000 },
  rateLimit: { callsMax: 1_000_000_000, failuresMax: 1_000_000, rules: [] },
  log: { level: 'silent' },
  audit: { flushMs: 20 },
}

/** One server, as its clients and its operator reach it. */
export interface Replica {
  readonly port: number
  readonly control: Control
}

/** The servers that a history is played against: one, or several that share their sessions. */
export interface World {
  readonly name: string
  readonly replicas: readonly Replica[]
  /** Sets the clocks of all servers forward; undefined where they are processes. */
  readonly advance?: (ms: number) => void
  /** Stops a server as an operator does, and starts it over the same data. */
  readonly restart?: (at: number) => Promise<void>
  /** Kills a server without a word, and starts it over the same data. */
  readonly kill?: (at: number) => Promise<void>
  close(): Promise<void>
}

/** Servers in this process: one over SQLite, or several over one PostgreSQL. */
export async function openWithin(count: number, databaseUrl?: string): Promise<World> {
  let offset = 0
  const rootKey = randomBytes(32).toString('hex')
  const folders = Array.from({ length: count }, () => mkdtempSync(join(tmpdir(), 'merlon-model-')))
  const silent = () => undefined
  const start = async (folder: string): Promise<Replica & { readonly server: Server }> => {
    writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify(configFor(databaseUrl)))
    const server = await openServer({
      project: folder,
      env: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: rootKey },
      clock: () => Date.now() + offset,
      log: { info: silent, warn: silent, error: silent },
    })
    const { socket } = server.control
    if (socket === undefined) throw new Error('the server has no control socket')
    return { server, port: Number(new URL(server.url).port), control: httpControl({ socket }) }
  }
  const replicas: (Replica & { readonly server: Server })[] = []
  for (const folder of folders) replicas.push(await start(folder))
  await enrol(replicas[0]!.control)
  return {
    name: count === 1 ? 'one server' : `${count} servers on one PostgreSQL`,
    replicas,
    advance(ms) {
      offset += ms
    },
    async restart(at) {
      await replicas[at]!.server.close()
      replicas[at] = await start(folders[at]!)
    },
    async close() {
      await Promise.all(replicas.map(({ server }) => server.close()))
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
    },
  }
}

/** Servers as processes of their own, to be killed: one over SQLite, or several over one PostgreSQL. */
export async function openProcesses(count: number, puppetsPort: number, databaseUrl?: string): Promise<World> {
  const env = {
    MODEL_PUPPETS: String(puppetsPort),
    ...(databaseUrl === undefined
      ? {}
      : { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: randomBytes(32).toString('hex') }),
  }
  const replicas: ReplicaProcess[] = []
  for (let at = 0; at < count; at++) replicas.push(await ReplicaProcess.start(configFor(databaseUrl), env))
  await enrol(replicas[0]!.control)
  return {
    name: count === 1 ? 'a process that is killed' : `${count} processes that are killed, on one PostgreSQL`,
    replicas,
    async kill(at) {
      await replicas[at]!.kill()
      await replicas[at]!.restart()
    },
    async close() {
      await Promise.all(replicas.map((replica) => replica.close()))
    },
  }
}

export const tenants = ['model-a', 'model-b'] as const
export type Tenant = (typeof tenants)[number]

function configFor(databaseUrl: string | undefined): ConfigInput {
  return databaseUrl === undefined ? settings : { ...settings, store: { databaseUrl: 'env:DATABASE_URL' } }
}

async function enrol(control: Control): Promise<void> {
  for (const tenant of tenants) {
    await control.call('tenants.create', { body: { id: tenant } })
    await control.call('users.create', { body: { tenant, name: 'person', role: 'user' } })
  }
}
