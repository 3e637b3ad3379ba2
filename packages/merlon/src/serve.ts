import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import type { ControlParts } from './admin/parts.ts'
import type { Sessions } from './admin/sessions.ts'
import { StrangerLog } from './audit/stranger-log.ts'
import type { Clock, RandomBytes, ScopeSet } from './call.ts'
import type { Catalog } from './catalog/catalog.ts'
import { loadCatalog } from './catalog/load.ts'
import { changedKinds, watchCatalog } from './catalog/watch.ts'
import type { Config } from './config/schema.ts'
import { sessionsOf } from './control-parts.ts'
import { loadAuthenticator, verifiers } from './credentials.ts'
import { Changes } from './dispatch/changes.ts'
import { createDispatch, type Recorder } from './dispatch/dispatch.ts'
import { handlersFor } from './dispatch/handlers.ts'
import { LiveSessions } from './dispatch/live-sessions.ts'
import { recorder } from './dispatch/record.ts'
import { AllRunning } from './dispatch/running.ts'
import type { Log, Services } from './dispatch/services.ts'
import { expiryEntry } from './dispatch/session-record.ts'
import type { Fault } from './errors.ts'
import { every } from './every.ts'
import type { Gate } from './guard/gate.ts'
import { settle } from './guard/limit-calls.ts'
import { ownHosts, publicHosts } from './guard/own-hosts.ts'
import { edge } from './guard/pipeline.ts'
import { ProxyRanges } from './guard/proxy-ranges.ts'
import type { HistoryStore } from './history/history-store.ts'
import { proofAlgorithms } from './identity/dpop.ts'
import type { Installation } from './installation.ts'
import type { LimitStore } from './limit/limit-store.ts'
import { Limiter } from './limit/limiter.ts'
import { type Rule, rulesOf, unaffordable } from './limit/rules.ts'
import { observeRefusal, requestLog } from './observe.ts'
import { holds, scopeSet } from './policy/scopes.ts'
import { routesFor } from './routes.ts'
import { openSealer } from './sealing/seal.ts'
import { type ServingControl, serveControl, sharedControl } from './serve-admin.ts'
import type { SessionStore } from './session/session-store.ts'
import { answerHeaders } from './transport/answer-headers.ts'
import { createHttpServer } from './transport/http-server.ts'
import { OpenStreams } from './transport/open-streams.ts'
import { readTls, type TlsFiles, tlsOptions, tlsWatch } from './transport/tls.ts'
import { describeFailure } from './watch/failure.ts'
import type { Watch } from './watch/watch.ts'
import { statefulRevision, statefulVersions } from './wire/revision-2025-11-25.ts'
import { statelessRevision } from './wire/revision-2026-07-28.ts'

export interface ServeOptions {
  readonly project: string
  readonly config: Config
  readonly installation: Pick<
    Installation,
    'verify' | 'tokens' | 'onWithdrawn' | 'onChanged' | 'audit' | 'argumentDigest' | 'sealing'
  >
  /** Undefined where the stateful revisions are not served. */
  readonly sessions: SessionStore | undefined
  /** Undefined where streams cannot be resumed. */
  readonly history: HistoryStore | undefined
  /** Where calls are counted. */
  readonly limits: LimitStore
  readonly watch: Watch
  /** What the control plane works with, given the sessions of this process. */
  readonly control: (sessions: Sessions | undefined) => ControlParts
  readonly mode: 'start' | 'dev'
  readonly log: Log
  readonly clock: Clock
  /** Whole milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  readonly random: RandomBytes
}

export interface Serving {
  /** The address of the MCP endpoint. */
  readonly url: string
  readonly control: Pick<ServingControl, 'url' | 'socket'>
  /** Takes no new calls, lets those under way finish, ends what is left, and stops listening. */
  close(): Promise<void>
}

const tickMs = 500
const drainGraceMs = 10_000

/** Puts the parts together and listens. It knows ports, not adapters. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { config, installation, sessions, history, watch, log, clock, steadyClock, random } = options
  const { limits } = config
  const roles = new Map(Object.entries(config.roles).map(([role, scopes]) => [role, scopeSet(scopes)]))
  const folder = resolve(options.project, config.catalog.folder)
  let catalog: Catalog = await loadCatalog(folder)
  const authenticator = await loadAuthenticator(options.project, config.authentication.module)

  warnOfUnreachable(catalog, roles, log)

  const stateless = statelessRevision({ name: config.name, version: config.version })
  const stateful = new Map(statefulVersions.map((version) => [version as string, statefulRevision(version)]))
  const resumption = history && { history, key: installation.sealing.eventId, clock }
  const handlers = handlersFor(() => catalog)
  const services: Services = {
    clock,
    random,
    catalog: () => catalog,
    server: { name: config.name, version: config.version, instructions: config.instructions },
    revisions: { stateless, stateful },
    responseMode: config.server.responseMode,
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
    sessionDurationMs: config.session.durationMs,
    live: new LiveSessions(resumption),
    running: new AllRunning(),
    changes: new Changes(),
    log,
    describeFailure: (thrown) => describeFailure(thrown, options.mode === 'dev'),
  }

  const rules = rulesOf(config.rateLimit)
  warnOfUnaffordable(catalog, rules, log)
  const limiter = new Limiter({ store: options.limits, rules, failuresMax: config.rateLimit.failuresMax })

  const kinds = new Map(
    [...handlers.stateless, ...handlers.stateful].map(([name, { audit }]) => [
      name,
      { audit, series: watch.method(name) },
    ]),
  )
  const others = { audit: 'access', series: watch.method('other') }
  const record = recorder(installation.audit, clock, kinds, others, watch, installation.argumentDigest)
  const settled: Recorder = (call, fault, outcome) => {
    settle({ limiter, steadyClock }, call.reserved, fault)
    record(call, fault, outcome)
  }
  const dispatch = createDispatch(services, handlers, rules.every(({ count }) => count === 'all') ? record : settled)
  watch.followLimiter(() => limiter.store.state === 'local')

  const load = { draining: false, behind: false }
  const hosts = config.server.dangerouslySkipHostCheck ? undefined : new Set<string>(config.server.allowedHosts)
  const { tokens } = installation
  const verify = verifiers({
    ...tokens,
    verify: installation.verify,
    issuers: config.identity.issuers,
    authenticator,
    roles,
    scopes: new Set(['read', 'write', 'metrics', 'admin', ...config.scopes]),
    clock,
    report: (cause) => log.error({ err: cause }, 'the keys of an issuer cannot be read'),
  })
  const gate: Gate = {
    clock,
    steadyClock,
    nextRequestId: requestIds(random),
    hosts,
    origins: config.cors.dangerouslySkipOriginCheck ? undefined : new Set(config.cors.allowedOrigins),
    proxies: new ProxyRanges(config.server.trustedProxies),
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

  const { certificatePath, keyPath } = config.tls
  const tlsFiles =
    certificatePath === undefined || keyPath === undefined
      ? undefined
      : { certificatePath: resolve(options.project, certificatePath), keyPath: resolve(options.project, keyPath) }
  const tls = tlsFiles && readTls(tlsFiles)
  const scheme = tls === undefined ? 'http' : 'https'

  let base = config.server.publicUrl?.replace(/\/$/, '') ?? ''
  const metadataUrl = () => `${base}/.well-known/oauth-protected-resource${config.server.endpoint}`
  const headers = answerHeaders({
    tls: tls !== undefined || base.startsWith('https:'),
    exposed: config.cors.exposedHeaders,
    rateForms: config.rateLimit.headers,
  })
  const streams = new OpenStreams({
    heartbeatMs: limits.heartbeatMs,
    bufferBytesMax: limits.streamBufferBytesMax,
    stallMs: limits.streamStallMs,
  })
  watch.followServing({ streams: () => streams.size, calls: () => services.running.size })
  const countSessions = async () => {
    if (sessions !== undefined) watch.sawSessions(await sessions.count(clock()))
  }
  const strangers = new StrangerLog(installation.audit, clock)
  const routes = routesFor({
    config,
    services,
    dispatch,
    resource: () => `${base}${config.server.endpoint}`,
    ready: () => !load.draining && !load.behind && watch.isWell(),
    keySet: () => tokens.signingKeys.keySet,
  })
  const onRefused = (call: Parameters<typeof observeRefusal>[0], fault: Fault) =>
    observeRefusal(call, fault, { audit: installation.audit, strangers, watch, log, clock })
  const controlled = {
    ...{ config, gate, tls, log, onRefused, folder: resolve(options.project, config.store.folder) },
    parts: options.control(sessions && sessionsOf(sessions, clock)),
    verify: verify('control'),
  }
  const shared = config.admin.listener === 'shared' ? sharedControl(controlled) : undefined
  const server = createHttpServer({
    gate,
    routes: shared === undefined ? routes : { get: (path) => routes.get(path) ?? shared.routes.get(path) },
    problem: shared?.problem,
    headers,
    streams,
    tls,
    bounds: limits,
    challenge: () => `Bearer resource_metadata="${metadataUrl()}"`,
    proofs: config.identity.issuers.some(({ dpop }) => dpop === 'required') ? proofAlgorithms.join(' ') : undefined,
    edge: (call) => edge.run(call),
    onRefused,
    onUnread: onRefused,
    onAnswered: requestLog(config.log.requests, log, gate, {
      route: (path) => routes.has(path),
      method: (name) => kinds.has(name),
    }),
  })

  installation.onWithdrawn((credential, tenant) => services.running.withdraw(credential, clock(), tenant))
  installation.onChanged((credential, tenant) => services.running.renew(credential, tenant))
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
  const timers = [
    every(tickMs, sweep, swept),
    every(config.session.sweepMs, sweepSessions, swept),
    every(30_000, sweepCounts, swept),
    every(10_000, countSessions, swept),
  ]

  await new Promise<void>((listening, failed) => {
    server.once('error', (cause) => failed(listenFailure(cause, config)))
    server.listen(config.server.port, config.server.host, listening)
  })
  const { port } = server.address() as AddressInfo
  const own = ownHosts(config.server.host, port)
  if (base === '') base = `${scheme}://${own[0]}`
  tokens.doors.serveAt(base)
  tokens.doors.open('mcp', `${base}${config.server.endpoint}`)
  if (hosts !== undefined && config.server.allowedHosts === undefined) {
    for (const host of [...own, ...publicHosts(base)]) hosts.add(host)
  }

  const control = await serveControl(controlled).catch(async (error: unknown) => {
    for (const timer of timers) clearInterval(timer)
    await new Promise((closed) => server.close(closed).closeAllConnections())
    throw error
  })
  if (tlsFiles !== undefined) timers.push(every(1_000, renewTls([server, ...control.servers], tlsFiles, log), swept))
  shared?.serveAt(base)
  const controlBase = shared === undefined ? control.url : base
  if (controlBase !== undefined) tokens.doors.open('control', `${controlBase}/api`)

  const watching =
    options.mode === 'dev'
      ? watchCatalog(folder, async () => {
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
        })
      : undefined

  return {
    url: `${scheme}://${own[0]}${config.server.endpoint}`,
    control: { url: control.url, socket: control.socket },
    async close() {
      load.draining = true
      await watching?.close()
      const closed = new Promise<void>((done) => server.close(() => done()))
      const uncontrolled = control.close()
      await services.running.drain(drainGraceMs)
      server.closeIdleConnections()
      setTimeout(() => server.closeAllConnections(), 1_000).unref()
      await Promise.all([closed, uncontrolled])
      for (const timer of timers) clearInterval(timer)
      strangers.flush()
    },
  }
}

/** Takes a renewed certificate for new connections; those that are open keep theirs. One that cannot be used is told, and the old one stays. */
function renewTls(servers: readonly ReturnType<typeof createHttpServer>[], files: TlsFiles, log: Log): () => void {
  const changed = tlsWatch(files)
  return () => {
    if (!changed()) return
    try {
      const material = { ...tlsOptions, ...readTls(files) }
      for (const server of servers) if ('setSecureContext' in server) server.setSecureContext(material)
      log.info({}, 'took the renewed certificate')
    } catch (error) {
      log.error({}, `kept the certificate as it was: ${error instanceof Error ? error.message : String(error)}`)
    }
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

/** Ids that are ours alone and tell nothing: a random prefix for the process, and a count. */
function requestIds(random: RandomBytes): () => string {
  const prefix = random(6).toString('hex')
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}

function listenFailure(cause: NodeJS.ErrnoException, config: Config): Error {
  const { host, port } = config.server
  if (cause.code === 'EADDRINUSE')
    return new Error(`${host}:${port} is in use; choose another with PORT or server.port`, { cause })
  return new Error(`cannot listen on ${host}:${port}: ${cause.message}`, { cause })
}
