import { createHmac } from 'node:crypto'
import { resolve } from 'node:path'
import { StrangerLog } from '../audit/stranger-log.ts'
import type { Clock, RandomBytes, ScopeSet } from '../call.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { loadCatalog } from '../catalog/load.ts'
import { changedKinds } from '../catalog/watch.ts'
import { builtInScopes } from '../config/builtin-scopes.ts'
import type { Config } from '../config/schema.ts'
import { Changes } from '../dispatch/changes.ts'
import { createDispatch, type Dispatch, type Recorder } from '../dispatch/dispatch.ts'
import { handlersFor } from '../dispatch/handlers.ts'
import { LiveSessions } from '../dispatch/live-sessions.ts'
import { recorder } from '../dispatch/record.ts'
import { AllRunning } from '../dispatch/running.ts'
import type { Log, Services } from '../dispatch/services.ts'
import { expiryEntry } from '../dispatch/session-record.ts'
import { StreamWakes } from '../dispatch/stream-wakes.ts'
import { every } from '../every.ts'
import type { Gate } from '../guard/gate.ts'
import { settle } from '../guard/limit-calls.ts'
import type { HistoryStore } from '../history/history-store.ts'
import { isSignIn } from '../identity/actor.ts'
import type { Door } from '../identity/verdict.ts'
import type { Installation } from '../installation/installation.ts'
import type { LimitStore } from '../limit/limit-store.ts'
import { Limiter } from '../limit/limiter.ts'
import { type Rule, rulesOf, unaffordable } from '../limit/rules.ts'
import { holds } from '../policy/scopes.ts'
import type { Bus } from '../replica/bus.ts'
import type { Mailbox } from '../replica/mailbox.ts'
import { Mailroom } from '../replica/mailroom.ts'
import type { Replicas } from '../replica/replicas.ts'
import { openSealer } from '../sealing/seal.ts'
import type { SessionStore } from '../session/session-store.ts'
import { describeFailure } from '../watch/failure.ts'
import type { Watch } from '../watch/watch.ts'
import { statefulRevision, statefulVersions } from '../wire/revision-2025-11-25.ts'
import { statelessRevision } from '../wire/revision-2026-07-28.ts'
import { loadAuthenticator, verifiers } from './credentials.ts'
import { endWithdrawn } from './end-withdrawn.ts'
import { failureCounter } from './failure-counter.ts'
import { requestIds } from './request-ids.ts'

export interface AssemblyOptions {
  readonly project: string
  readonly config: Config
  readonly installation: Pick<
    Installation,
    'identity' | 'verify' | 'tokens' | 'onWithdrawn' | 'onChanged' | 'audit' | 'argumentDigest' | 'sealing'
  >
  /** Undefined where the stateful revisions are not served. */
  readonly sessions: SessionStore | undefined
  /** Undefined where streams cannot be resumed. */
  readonly history: HistoryStore | undefined
  /** The processes on the same store, and how they wake each other. */
  readonly replicas: Replicas
  readonly bus: Bus
  /** What replicas leave for each other; undefined where there is but one. */
  readonly mailbox: Mailbox | undefined
  /** Where calls are counted. */
  readonly limits: LimitStore
  /** With what the issuer that is asked about tokens knows us, where there is one. */
  readonly introspectionSecret: string | undefined
  readonly watch: Watch
  readonly mode: 'start' | 'dev'
  readonly log: Log
  readonly clock: Clock
  /** Whole milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  readonly random: RandomBytes
}

/** What answers calls, whatever brings them. */
export interface Assembly {
  readonly services: Services
  readonly dispatch: Dispatch
  readonly gate: Gate
  /** Checks credentials at a door. */
  readonly verify: (door: Door) => Gate['verify']
  /** Why no new call is taken now, if so. */
  readonly load: { draining: boolean; behind: boolean }
  /** Records refusals of those who showed nothing. */
  readonly strangers: StrangerLog
  isMethod(name: string): boolean
  /** The folder of the catalog. */
  readonly folder: string
  /** Loads the catalog again and tells who sees a change; keeps it as it was, and says why, where that fails. */
  reload(): Promise<void>
  /** Begins to end what is over time, or whose credential is good no longer; rejects where the stores are out of reach. */
  follow(): Promise<void>
  /** Follows no more, and writes what was counted or is to be told. */
  close(): Promise<void>
}

const tickMs = 500
/** How long a stop waits for a store that is slow to keep what was sent last. */
const settleMs = 5_000
/** How soon a letter is read that no wake told of. */
const mailMs = 250

/**
 * Puts together what every transport shares: the catalog, what guards decide with, dispatch and the record. `doors` is what a
 * guard asks about where a request came from, and `changes` what is otherwise for this transport.
 */
export async function assemble(
  options: AssemblyOptions,
  doors: Pick<Gate, 'hosts' | 'origins' | 'proxies'>,
  changes: Partial<Pick<Services, 'responseMode' | 'sessionDurationMs'>> & {
    readonly placeOf?: (address: string) => string
  } = {},
): Promise<Assembly> {
  const { config, installation, sessions, history, watch, log, clock, steadyClock, random } = options
  const { limits } = config
  const { roles } = installation.identity
  const folder = resolve(options.project, config.catalog.folder)
  let catalog: Catalog = await loadCatalog(folder)
  const authenticator = await loadAuthenticator(options.project, config.authentication.module)

  warnOfUnreachable(catalog, roles, log)

  const stateless = statelessRevision({ name: config.name, version: config.version })
  const stateful = new Map(statefulVersions.map((version) => [version as string, statefulRevision(version)]))
  const { replicas, bus, mailbox } = options
  const digest = (session: string) => createHmac('sha256', installation.sealing.sessionId).update(session).digest('hex')
  const wakes = new StreamWakes(bus, digest)
  const resumption = history && { history, key: installation.sealing.eventId, clock, replicas, wakes }
  const mail =
    mailbox &&
    new Mailroom({ mailbox, bus, clock, report: (what, cause) => log.error({ err: cause }, `${what} failed`) })
  const handlers = handlersFor(() => catalog)
  const services: Services = {
    clock,
    random,
    catalog: () => catalog,
    server: { name: config.name, version: config.version, instructions: config.instructions },
    revisions: { stateless, stateful },
    methods: handlers.stateful,
    responseMode: changes.responseMode ?? config.server.responseMode,
    callTimeoutMs: limits.callTimeoutMs,
    listTtlMs: config.catalog.ttlMs,
    pageSize: limits.pageSize,
    callCaps: {
      perPrincipal: limits.callsPerPrincipalMax,
      perTenant: limits.callsPerTenantMax,
      perTool: limits.callsPerToolMax,
    },
    streamsPerPrincipalMax: limits.streamsPerPrincipalMax,
    sealer: {
      requestState: openSealer(installation.sealing.requestState, random),
      cursor: openSealer(installation.sealing.cursor, random),
    },
    sessions,
    sessionHeader: config.session.headerName,
    sessionCaps: {
      perPrincipal: config.session.perPrincipalMax,
      perTenant: config.session.perTenantMax,
      total: config.session.totalMax,
    },
    sessionDurationMs: changes.sessionDurationMs ?? config.session.durationMs,
    live: new LiveSessions(resumption, installation.sealing.questionId),
    running: new AllRunning(),
    changes: new Changes(mail && ((change) => mail.announce(change))),
    mail,
    log,
    describeFailure: (thrown) => describeFailure(thrown, options.mode === 'dev'),
  }

  const rules = rulesOf(config.rateLimit)
  warnOfUnaffordable(catalog, rules, log)
  const limiter = new Limiter({
    store: options.limits,
    rules,
    failuresMax: config.rateLimit.failuresMax,
    messages: config.rateLimit.enabled ? config.webSocket : undefined,
  })

  const kinds = new Map(
    [...handlers.stateless, ...handlers.stateful].map(([name, { audit }]) => [
      name,
      { audit, series: watch.method(name) },
    ]),
  )
  const others = { audit: 'access', series: watch.method('other') }
  const record = recorder(installation.audit, clock, kinds, others, watch, installation.argumentDigest, changes.placeOf)
  const settled: Recorder = (call, fault, outcome) => {
    settle({ limiter, steadyClock }, call.reserved, fault)
    record(call, fault, outcome)
  }
  const dispatch = createDispatch(services, handlers, rules.every(({ count }) => count === 'all') ? record : settled)
  await mail?.start()
  watch.followLimiter(() => limiter.store.state === 'local')

  const load = { draining: false, behind: false }
  const { tokens } = installation
  const verify = verifiers({
    ...tokens,
    verify: installation.verify,
    issuers: config.identity.issuers,
    authenticator,
    roles,
    scopes: new Set([...builtInScopes, ...config.scopes]),
    clock,
    steadyClock,
    failures: failureCounter(limiter, steadyClock),
    introspectionSecret: options.introspectionSecret,
    report: (cause) => log.error({ err: cause }, 'an issuer cannot be asked'),
  })
  const gate: Gate = {
    clock,
    steadyClock,
    nextRequestId: requestIds(random),
    hosts: doors.hosts,
    origins: doors.origins,
    proxies: doors.proxies,
    verify: verify('mcp'),
    limiter,
    audit: installation.audit,
    refusing() {
      if (load.draining) return 'server.draining'
      installation.audit.check()
      return load.behind ? 'capacity.exceeded' : undefined
    },
    messageBytesMax: limits.messageBytesMax,
    bounds: { depthMax: limits.jsonDepthMax, nodesMax: limits.jsonNodesMax },
    stateless,
    stateful,
    sessions,
    sessionHeader: config.session.headerName.toLowerCase(),
    methods: handlers,
  }

  const countSessions = async () => {
    if (sessions !== undefined) watch.sawSessions(await sessions.count(clock()))
  }
  const strangers = new StrangerLog(installation.audit, clock)
  const swept = (cause: unknown) => log.error({ err: cause }, 'clearing away failed')
  const sweep = (late: number) => {
    load.behind = late > limits.eventLoopDelayMsMax
    services.running.sweep(clock())
    watch.tick(late)
  }
  const sweepSessions = async () => {
    const over = (await sessions?.sweep(clock())) ?? 0
    if (over > 0) installation.audit.append(expiryEntry(over))
  }
  const sweepCounts = () => {
    limiter.store.sweep(steadyClock())
    strangers.flush()
    return history?.sweep(clock())
  }
  let timers: readonly NodeJS.Timeout[] = []

  return {
    services,
    dispatch,
    gate,
    verify,
    load,
    strangers,
    isMethod: (name) => kinds.has(name),
    folder,
    async reload() {
      try {
        const before = catalog
        const after = await loadCatalog(folder, { fresh: true })
        catalog = after
        log.info({ tools: after.tools.length }, 'loaded the catalog again')
        for (const kind of ['tools', 'prompts', 'resources'] as const) {
          services.changes.announce({
            kind,
            seenBy: (principal) => changedKinds(before, after, principal).has(kind),
          })
        }
      } catch (error) {
        log.error({}, `kept the catalog as it was: ${error instanceof Error ? error.message : String(error)}`)
      }
    },
    async follow() {
      installation.onWithdrawn((credential, tenant) => services.running.withdraw(credential, clock(), tenant))
      installation.onChanged((credential, tenant) => services.running.renew(credential, tenant))
      // Whoever had the key could have opened a stream in the name of any sign-in; who has a good token opens theirs again.
      tokens.signingKeys.onDestroyed(() => services.running.renewAll(isSignIn))
      if (sessions !== undefined) await endWithdrawn({ installation, sessions, clock })
      timers = [
        every(tickMs, sweep, swept),
        every(config.session.sweepMs, sweepSessions, swept),
        every(30_000, sweepCounts, swept),
        every(10_000, countSessions, swept),
        ...(mail === undefined
          ? []
          : [
              every(
                mailMs,
                () => mail.poll(),
                (cause) => log.error({ err: cause }, 'looking for mail failed'),
              ),
              every(10_000, () => mail.sweep(), swept),
            ]),
      ]
    },
    async close() {
      for (const timer of timers) clearInterval(timer)
      strangers.flush()
      await services.live.settled(settleMs)
      await mail?.close().catch(swept)
    },
  }
}

/** A scope that no role has keeps what asks for it from everybody: seldom what its author meant. */
function warnOfUnreachable(catalog: Catalog, roles: ReadonlyMap<string, ScopeSet>, log: Log): void {
  for (const scope of catalog.scopes) {
    if ([...roles.values()].some((granted) => holds(granted, scope))) continue
    log.warn({ scope }, 'no role has a scope that the catalog asks for: nobody can reach what asks for it')
  }
}

/** A tool that costs more than a limit holds is listed and never called. */
function warnOfUnaffordable(catalog: Catalog, rules: readonly Rule[], log: Log): void {
  for (const { name, cost, requirement } of catalog.tools) {
    const scope = requirement === 'authenticated' ? undefined : requirement.scope
    for (const limit of unaffordable(rules, { name, scope, cost }))
      log.warn({ tool: name, cost, limit }, 'a tool costs more than a limit ever holds: it can never be called')
  }
}
