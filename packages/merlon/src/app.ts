import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { openKeys } from './app-keys.ts'
import { alone, openReplicas, type Sharing } from './app-replicas.ts'
import { openSessions } from './app-sessions.ts'
import type { Clock, RandomBytes } from './call.ts'
import { loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Secrets } from './config/secrets.ts'
import type { Log } from './dispatch/services.ts'
import { Fault } from './errors.ts'
import { every } from './every.ts'
import { type Installation, openInstallation } from './installation/installation.ts'
import { loginLimits } from './installation/login-limits.ts'
import { handOn, startEntry } from './installation/open-audit.ts'
import type { Sealing } from './installation/open-sealing.ts'
import type { LimitStore } from './limit/limit-store.ts'
import { SharedLimits } from './limit/shared-limits.ts'
import { makeDataFolder } from './private-file.ts'
import { controlParts } from './serve/control-parts.ts'
import { endWithdrawn } from './serve/end-withdrawn.ts'
import { defaultLog, openWatch } from './serve/observe.ts'
import { serve } from './serve/serve.ts'
import { lifelongMs, type ServingStdio, serveStdio } from './serve/serve-stdio.ts'
import { waitForServing } from './serving-lock.ts'
import type { SessionStore } from './session/session-store.ts'
import { MemoryLimitStore } from './store/memory/limit-store.ts'
import { MemorySessionStore } from './store/memory/session-store.ts'
import { openDatabase, type SqlDatabase } from './store/sql/database.ts'
import type { Glance } from './store/sql/glance.ts'
import { sqlIdentity } from './store/sql/identity-stores.ts'
import { SqlRootStore } from './store/sql/root-store.ts'
import type { SqlSessionStore } from './store/sql/session-store.ts'
import type { LineOutput } from './transport/stdio.ts'
import { version } from './version.ts'

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
  /** The same in clear, where TLS has a port of its own. */
  readonly clearUrl: string | undefined
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
  let sharing: Sharing | undefined
  const close = async () => {
    await kept?.close()
    await sharing?.close()
    await parts.close()
  }
  try {
    const { database, keys, shared } = parts
    sharing = await parts.share()
    const { replicas, bus } = sharing
    const writer = sharing.fence && { replicas, fence: sharing.fence }
    const onUnreadable = () => parts.watch.happened('sealed-unreadable')
    const about = { ...{ config, installation, database, keys, shared }, ...{ bus, writer, log, clock, random } }
    kept = openSessions({ ...about, onUnreadable })
    const { sessions, history, mailbox } = kept
    parts.remembering.sessions = sessions
    const serving = await serve({
      ...parts,
      ...{ replicas, bus, sessions, history, mailbox },
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
      clearUrl: serving.clearUrl,
      control: serving.control,
      firstStart: firstKey && { key: firstKey.text, expiresAt: firstKey.key.expiresAt },
      keys: installation.keys,
      async close() {
        await serving.close()
        await close()
      },
    }
  } catch (error) {
    await close()
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
      mailbox: undefined,
      ...alone(),
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
  const lock = shared ? undefined : await waitForServing(folder)
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
    const remembering: { sessions?: SqlSessionStore | undefined } = {}
    const common = { installation, database, shared, log, clock, random }
    const { keys, ...sealing } = openKeys(common, () => remembering.sessions)
    let serves = false
    return {
      ...common,
      ...{ project, config, limits: store, watch, mode, steadyClock, keys },
      introspectionSecret: secrets.introspectionSecret,
      encryptionKeys: sealing.encryptionKeys,
      rootChange: sealing.rootChange,
      /** Told which sessions are remembered here, if any are. */
      remembering,
      /** Takes its place among the servers on the same database, if others may be there. */
      share: async (): Promise<Sharing> => {
        const { databaseUrl, redisUrl } = secrets
        if (databaseUrl === undefined) return alone()
        const { redisPrefix } = config.store
        const { audit } = installation
        return openReplicas({ databaseUrl, redisUrl, redisPrefix, audit, watch, log, steadyClock })
      },
      /** Notes that it serves now. */
      began() {
        installation.audit.append(startEntry(config, version))
        sealing.follow()
        serves = true
      },
      async close() {
        await sealing.close()
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
  const { RedisLimitStore } = await import('./store/redis/limit-store.ts')
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

/** Looks at the store without opening it for work, for the audit of the configuration. */
export async function glanceAtStore(
  project: string,
  { store }: Config,
  { databaseUrl }: Secrets,
  now: number,
): Promise<Glance | undefined> {
  const { glance } = await import('./store/sql/glance.ts')
  return glance(
    databaseUrl === undefined ? { file: join(resolve(project, store.folder), 'merlon.db') } : { databaseUrl },
    now,
  )
}

/** What a command has to itself where no server has the data folder. */
export type Local = Installation &
  Pick<Sealing, 'encryptionKeys' | 'rootChange'> & {
    /** Those that a server left open, for the next one to go on with. */
    readonly sessions: SessionStore | undefined
  }

/** Opens the installation and its sessions, and serves nothing. Sessions end here as they do beside a server. */
export async function openLocal(project: string, config: Config, secrets: Secrets): Promise<Local> {
  const own = new MemoryLimitStore()
  const common = { clock: Date.now, random: randomBytes, log: defaultLog(config) }
  const opened = await open(project, config, secrets, {
    ...common,
    steadyClock: () => Math.trunc(performance.now()),
    countedIn: () => own,
  })
  const { installation } = opened
  const parts = { ...common, ...opened, config, shared: secrets.databaseUrl !== undefined }
  const sealing = openKeys(parts, () => sessions)
  const kept = openSessions({ ...parts, keys: sealing.keys, bus: alone().bus, writer: undefined })
  const { sessions } = kept
  const close = async () => {
    await kept.close()
    await sealing.close()
    await installation.close()
  }
  try {
    if (sessions !== undefined) await endWithdrawn({ installation, sessions, clock: common.clock })
  } catch (error) {
    await close()
    throw error
  }
  const { encryptionKeys, rootChange } = sealing
  return { ...installation, encryptionKeys, rootChange, sessions, close }
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
      return { stores: sqlIdentity(database), rootStore: new SqlRootStore(database) }
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
