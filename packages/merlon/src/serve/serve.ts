import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import { watchCatalog } from '../catalog/watch.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../dispatch/services.ts'
import type { Fault } from '../errors.ts'
import { every } from '../every.ts'
import { ownHosts, publicHosts } from '../guard/own-hosts.ts'
import { edge } from '../guard/pipeline.ts'
import { ProxyRanges } from '../guard/proxy-ranges.ts'
import { proofAlgorithms } from '../identity/dpop.ts'
import { answerHeaders } from '../transport/answer-headers.ts'
import { createHttpServer } from '../transport/http-server.ts'
import { OpenStreams } from '../transport/open-streams.ts'
import { readTls, type TlsFiles, tlsOptions, tlsWatch } from '../transport/tls.ts'
import { type AssemblyOptions, assemble } from './assembly.ts'
import { sessionsOf } from './control-parts.ts'
import { observeRefusal, requestLog } from './observe.ts'
import { routesFor } from './routes.ts'
import { type ServingControl, serveControl, sharedControl } from './serve-admin.ts'

export interface ServeOptions extends AssemblyOptions {
  /** What the control plane works with, given the sessions of this process. */
  readonly control: (sessions: Sessions | undefined) => ControlParts
}

export interface Serving {
  /** The address of the MCP endpoint. */
  readonly url: string
  readonly control: Pick<ServingControl, 'url' | 'socket'>
  /** Takes no new calls, lets those under way finish, ends what is left, and stops listening. */
  close(): Promise<void>
}

const drainGraceMs = 10_000

/** Puts the parts together and listens. It knows ports, not adapters. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { config, installation, sessions, watch, log, clock } = options
  const { limits } = config
  const hosts = config.server.dangerouslySkipHostCheck ? undefined : new Set<string>(config.server.allowedHosts)
  const assembly = await assemble(options, {
    hosts,
    origins: config.cors.dangerouslySkipOriginCheck ? undefined : new Set(config.cors.allowedOrigins),
    proxies: new ProxyRanges(config.server.trustedProxies),
  })
  const { services, dispatch, gate, verify, load, strangers } = assembly
  const { tokens } = installation

  const { certificatePath, keyPath } = config.tls
  const tlsFiles =
    certificatePath === undefined || keyPath === undefined
      ? undefined
      : { certificatePath: resolve(options.project, certificatePath), keyPath: resolve(options.project, keyPath) }
  const tls = tlsFiles && readTls(tlsFiles)
  const scheme = tls === undefined ? 'http' : 'https'

  let base = config.server.publicUrl?.replace(/\/$/, '') ?? ''
  const metadataUrl = () => `${base}/.well-known/oauth-protected-resource${config.server.endpoint}`
  const streams = new OpenStreams({
    heartbeatMs: limits.heartbeatMs,
    bufferBytesMax: limits.streamBufferBytesMax,
    stallMs: limits.streamStallMs,
  })
  watch.followServing({ streams: () => streams.size, calls: () => services.running.size })
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
  const headers = answerHeaders({
    tls: tls !== undefined || base.startsWith('https:'),
    exposed: config.cors.exposedHeaders,
    rateForms: config.rateLimit.headers,
    style: shared?.style,
  })
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
      method: assembly.isMethod,
    }),
  })

  assembly.follow()
  const uncertain = (cause: unknown) => log.error({ err: cause }, 'looking for a renewed certificate failed')
  let renewing: NodeJS.Timeout | undefined

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
    assembly.close()
    await new Promise((closed) => server.close(closed).closeAllConnections())
    throw error
  })
  if (tlsFiles !== undefined) renewing = every(1_000, renewTls([server, ...control.servers], tlsFiles, log), uncertain)
  shared?.serveAt(base)
  const controlBase = shared === undefined ? control.url : base
  if (controlBase !== undefined) tokens.doors.open('control', `${controlBase}/api`)

  const watching = options.mode === 'dev' ? watchCatalog(assembly.folder, assembly.reload) : undefined

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
      clearInterval(renewing)
      assembly.close()
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

function listenFailure(cause: NodeJS.ErrnoException, config: Config): Error {
  const { host, port } = config.server
  if (cause.code === 'EADDRINUSE')
    return new Error(`${host}:${port} is in use; choose another with PORT or server.port`, { cause })
  return new Error(`cannot listen on ${host}:${port}: ${cause.message}`, { cause })
}
