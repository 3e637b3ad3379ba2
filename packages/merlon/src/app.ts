import { createHmac, randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { pino } from 'pino'
import type { Clock, RandomBytes } from './call.ts'
import { loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Secrets } from './config/secrets.ts'
import { controlSocketOf, listens } from './control-socket.ts'
import type { Log } from './dispatch/services.ts'
import { Fault } from './errors.ts'
import { every } from './every.ts'
import type { FileLock } from './file-lock.ts'
import { type Installation, openInstallation } from './installation/installation.ts'
import { loginLimits } from './installation/login-limits.ts'
import { handOn, startEntry } from './installation/open-audit.ts'
import type { LimitStore } from './limit/limit-store.ts'
import { SharedLimits } from './limit/shared-limits.ts'
import { makeDataFolder } from './private-file.ts'
import { controlParts } from './serve/control-parts.ts'
import { openWatch } from './serve/observe.ts'
import { serve } from './serve/serve.ts'
import { lifelongMs, type ServingStdio, serveStdio } from './serve/serve-stdio.ts'
import { lockForServing } from './serving-lock.ts'
import { MemoryLimitStore } from './store/memory/limit-store.ts'
import { MemorySessionStore } from './store/memory/session-store.ts'
import { RedisLimitStore } from './store/redis/limit-store.ts'
import { SqlDataKeyStore } from './store/sql/data-key-store.ts'
import { openDatabase, type SqlDatabase } from './store/sql/database.ts'
import { type Glance, glance } from './store/sql/glance.ts'
import { SqlHistoryStore } from './store/sql/history-store.ts'
import { sqlIdentity } from './store/sql/identity-stores.ts'
import { SqlSessionStore } from './store/sql/session-store.ts'
import type { LineOutput } from './transport/stdio.ts'
import { version } from './version.ts'
import { describeFailure } from './watch/failure.ts'

/** Which project to serve, and with what. */
export interface ServerOptions {
  /** The project folder. */
  readonly project: string
  /** Settings that were loaded already. Default: loaded from the project and the environment. */
  readonly config?: Config
  readonly secrets?: Secrets
  /** Over the environment of the process while settings are loaded: `{ MERLON_SERVER_PORT: '0' }`. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `dev` loads the catalog again when it changes. Default `start`. */
  readonly mode?: 'start' | 'dev'
  /** Default: JSON lines on stderr. */
  readonly log?: Log
  readonly clock?: Clock
  readonly random?: RandomBytes
}

/** A server that listens. */
export interface Server {
  /** The address of the MCP endpoint. */
  readonly url: string
  /** Where the control plane is: its own address, and the socket in the data folder. */
  readonly control: { readonly url: string | undefined; readonly socket: string | undefined }
  /** The key that the first start made, shown this once. */
  readonly firstStart: { readonly key: string; readonly expiresAt: number } | undefined
  /** Creates, lists, rotates and revokes API keys of this installation. */
  readonly keys: Installation['keys']
  /** Finishes what is under way, and stops. */
  close(): Promise<void>
}

/**
 * Opens the installation of a project and serves its catalog. Throws before it listens where anything is wrong: a setting,
 * a secret, a file of the catalog, the store.
 */
export async function openServer(options: ServerOptions): Promise<Server> {
  const parts = await openParts(options, process.stdout)
  const { config, installation, clock, random, log } = parts
  let kept: ReturnType<typeof openSessions> | undefined
  try {
    const { database, shared } = parts
    kept = openSessions({ config, installation, database, shared, log, clock, random })
    const serving = await serve({
      ...parts,
      sessions: kept.sessions,
      history: kept.history,
      control: (sessions) => controlParts({ ...parts, sessions }),
    })
    // Not before it serves: a key made by a start that fails would never be shown, and there is but one first key.
    const firstKey = await installation.makeFirstKey().catch(async (error: unknown) => {
      await serving.close()
      throw error
    })
    parts.began()
    return {
      url: serving.url,
      control: serving.control,
      firstStart: firstKey && { key: firstKey.text, expiresAt: firstKey.key.expiresAt },
      keys: installation.keys,
      async close() {
        await serving.close()
        await kept?.close()
        await parts.close()
      },
    }
  } catch (error) {
    await kept?.close()
    await parts.close()
    throw error
  }
}

/** Which project to serve over a pipe, and to whom. */
export interface StdioOptions extends ServerOptions {
  /** The API key whose rights the host has. */
  readonly credential: string
  readonly input: Readable
  readonly output: LineOutput
}

/**
 * Serves the catalog over a pair of streams to the process that started this one. Rejects with the Fault where the key is
 * not good. It holds the data folder as a server does: sessions end with the pipe, and nothing is printed on `output` but
 * messages, so that lines of the audit log go to standard error.
 */
export async function openStdio(options: StdioOptions): Promise<ServingStdio> {
  const { credential, input, output } = options
  const parts = await openParts(options, process.stderr)
  const { config } = parts
  try {
    const serving = await serveStdio({
      ...parts,
      ...{ credential, input, output },
      sessions: config.session.enabled ? new MemorySessionStore(lifelongMs) : undefined,
      history: undefined,
      control: (sessions) => controlParts({ ...parts, sessions }),
    })
    parts.began()
    let closing: Promise<void> | undefined
    return {
      ...serving,
      close() {
        closing ??= serving.close().then(parts.close)
        return closing
      },
    }
  } catch (error) {
    await parts.close()
    throw error
  }
}

/** Opens what is the same whoever is served. `lines` gets the audit log, where it is handed on. */
async function openParts(options: ServerOptions, lines: Writable) {
  const { config, secrets } = settingsOf(options)
  const { project, clock = Date.now, random = randomBytes, mode = 'start' } = options
  const steadyClock = options.clock ?? (() => Math.trunc(performance.now()))
  const log = options.log ?? defaultLog(config)
  let limits: Awaited<ReturnType<typeof openLimits>> | undefined
  const own = new MemoryLimitStore()
  const countedIn = () => limits?.store ?? own
  const folder = resolve(project, config.store.folder)
  makeDataFolder(folder)
  const shared = secrets.databaseUrl !== undefined
  const lock = shared ? undefined : await lockFolder(folder)
  let opened: Installation | undefined
  try {
    const { installation, database } = await open(project, config, secrets, {
      ...{ clock, steadyClock, random, log, countedIn },
    })
    opened = installation
    if (config.audit.stdout) handOn(installation.audit, lines)
    await installation.follow()
    limits = await openLimits(config, secrets, installation.audit, log)
    const watch = openWatch({ config, secrets, installation, version, log, clock, steadyClock, random })
    installation.audit.onTampered(() => watch.happened('audit-tampered'))
    const { store } = limits
    let serves = false
    return {
      ...{
        project,
        config,
        installation,
        database,
        shared,
        limits: store,
        watch,
        mode,
        log,
        clock,
        steadyClock,
        random,
      },
      /** Notes that it serves now. */
      began() {
        installation.audit.append(startEntry(config, version))
        serves = true
      },
      async close() {
        await limits?.close()
        if (serves) installation.audit.append({ type: 'server', success: true, level: 'info', action: 'stop' })
        await installation.close()
        lock?.release()
      },
    }
  } catch (error) {
    await limits?.close()
    await opened?.close()
    lock?.release()
    throw error
  }
}

/** Longer than a command takes. */
const commandMs = 3_000
const againMs = 50

/** A command that works without a server has the folder for a moment, and is waited for; a server keeps it, and has a socket. */
async function lockFolder(folder: string): Promise<FileLock> {
  for (let waited = 0; ; waited += againMs) {
    try {
      return lockForServing(folder)
    } catch (error) {
      if (waited >= commandMs || (await listens(controlSocketOf(folder)))) throw error
    }
    await wait(againMs)
  }
}

const probeMs = 250

/**
 * Where calls are counted: in this process, or in a Redis that several share. A Redis that is not there is no reason not to
 * start: every limit says what to do without it.
 */
async function openLimits(
  config: Config,
  { redisUrl }: Secrets,
  audit: Installation['audit'],
  log: Log,
): Promise<{ store: LimitStore; close(): Promise<void> }> {
  const own = new MemoryLimitStore()
  if (redisUrl === undefined) return { store: own, close: async () => own.close() }
  const store = new SharedLimits({
    shared: new RedisLimitStore({ url: redisUrl, prefix: config.store.redisPrefix, time: 'server' }),
    own,
    localShare: config.rateLimit.localShare,
    onChange(state, cause) {
      const there = state === 'shared'
      const why = cause instanceof Fault ? (cause.cause as Error).message : undefined
      audit.append({
        type: 'server',
        success: there,
        level: there ? 'info' : 'error',
        action: there ? 'limits.recovered' : 'limits.lost',
        reason: why,
      })
      if (there) log.info({}, 'limits are shared again')
      else log.error({ reason: why }, 'limits are not shared: Redis is out of reach')
    },
  })
  await store.probe()
  const probing = every(
    probeMs,
    () => store.probe(),
    (cause) => log.error({ err: cause }, 'asking for Redis failed'),
  )
  return {
    store,
    async close() {
      clearInterval(probing)
      await store.close()
    },
  }
}

const pollMs = 250
const noteMs = 5_000
/** What is kept for one session at most, whatever the number of its events. */
const historyBytesMax = 4_194_304

/**
 * Where sessions are kept, and what their streams were sent: sealed, in the database of the installation, so that both
 * outlive this process and others on the same database can go on with them.
 */
function openSessions(parts: {
  readonly config: Config
  readonly installation: Installation
  readonly database: SqlDatabase
  readonly shared: boolean
  readonly log: Log
  readonly clock: Clock
  readonly random: RandomBytes
}): { sessions: SqlSessionStore | undefined; history: SqlHistoryStore | undefined; close(): Promise<void> } {
  const { config, installation, database, shared, log, clock, random } = parts
  const { audit, sealing } = installation
  const common = {
    database,
    keys: installation.dataKeys(new SqlDataKeyStore(database)),
    digest: (text: string) => createHmac('sha256', sealing.sessionId).update(text).digest(),
    random,
    onUnreadable({ tenant, key }: { tenant: string; key: string | undefined }) {
      audit.append({ type: 'crypto', success: false, level: 'error', tenant, key, reason: 'unreadable' })
      log.error({ tenant, key }, 'a record that is kept sealed cannot be opened: it was changed, or its key is gone')
    },
  }
  const { idleMs } = config.session
  const sessions = config.session.enabled ? new SqlSessionStore({ ...common, idleMs, shared }) : undefined
  const bounds = { ...config.resumability, bytesMax: historyBytesMax }
  const history = config.resumability.enabled ? new SqlHistoryStore({ ...common, bounds }) : undefined
  const failed = (cause: unknown) => log.error({ err: cause }, 'keeping sessions failed')
  const timers = [
    every(noteMs, () => sessions?.flush(idleMs / 10), failed),
    ...(shared ? [every(pollMs, () => sessions?.poll(clock()), failed)] : []),
  ]
  return {
    sessions,
    history,
    async close() {
      for (const timer of timers) clearInterval(timer)
      await sessions?.flush().catch(failed)
    },
  }
}

/** Looks at the store without opening it for work, for the audit of the configuration. */
export function glanceAtStore(
  project: string,
  { store }: Config,
  { databaseUrl }: Secrets,
  now: number,
): Promise<Glance | undefined> {
  return glance(
    databaseUrl === undefined ? { file: join(resolve(project, store.folder), 'merlon.db') } : { databaseUrl },
    now,
  )
}

/** Opens the installation alone, for a command where no server has the data folder. */
export async function openLocal(project: string, config: Config, secrets: Secrets): Promise<Installation> {
  const own = new MemoryLimitStore()
  const { installation } = await open(project, config, secrets, {
    ...{ clock: Date.now, random: randomBytes, log: defaultLog(config) },
    steadyClock: () => Math.trunc(performance.now()),
    countedIn: () => own,
  })
  return installation
}

async function open(
  project: string,
  config: Config,
  secrets: Secrets,
  parts: { clock: Clock; steadyClock: Clock; random: RandomBytes; log: Log; countedIn: () => LimitStore },
): Promise<{ installation: Installation; database: SqlDatabase }> {
  const { clock, steadyClock, random, log, countedIn } = parts
  const { databaseUrl } = secrets
  let database: SqlDatabase | undefined
  const installation = await openInstallation({
    project,
    config,
    secrets,
    async openStores(folder) {
      database = await openDatabase(databaseUrl === undefined ? { file: join(folder, 'merlon.db') } : { databaseUrl })
      return sqlIdentity(database)
    },
    logins: loginLimits(countedIn, config.authentication.login, steadyClock),
    clock,
    random,
    report: (what, cause) => log.error({ err: cause }, `${what} failed`),
  })
  return { installation, database: database! }
}

function settingsOf(options: ServerOptions): { config: Config; secrets: Secrets } {
  if (options.config !== undefined && options.secrets !== undefined)
    return { config: options.config, secrets: options.secrets }
  const loaded = loadConfig({ project: resolve(options.project), env: { ...process.env, ...options.env } })
  return { config: options.config ?? loaded.config, secrets: options.secrets ?? loaded.secrets }
}

function defaultLog(config: Config): Log {
  const serializers = { err: (thrown: unknown) => describeFailure(thrown, true) }
  const { level } = config.log
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }, pino.destination(2))
}
