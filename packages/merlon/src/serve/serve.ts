import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import { watchCatalog } from '../catalog/watch.ts'
import { listening } from '../config/listening.ts'
import type { Config } from '../config/schema.ts'
import type { Fault } from '../errors.ts'
import { publicHosts } from '../guard/own-hosts.ts'
import { edge } from '../guard/pipeline.ts'
import { ProxyRanges } from '../guard/proxy-ranges.ts'
import { proofAlgorithms } from '../identity/dpop.ts'
import { Tickets } from '../identity/tickets.ts'
import { answerHeaders } from '../transport/answer-headers.ts'
import { Compression } from '../transport/compression.ts'
import { Connections } from '../transport/connections.ts'
import { createHttpServer } from '../transport/http-server.ts'
import { OpenStreams } from '../transport/open-streams.ts'
import { type AssemblyOptions, assemble } from './assembly.ts'
import { Certificate } from './certificate.ts'
import { sessionsOf } from './control-parts.ts'
import { type Listener, listen, type Place, stop } from './listener.ts'
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
  /** The same in clear, where TLS has a port of its own. */
  readonly clearUrl: string | undefined
  readonly control: Pick<ServingControl, 'url' | 'socket'>
  /**
   * Says that it is not ready and serves on for `server.drainDelayMs`; then takes no new calls, lets those under way finish, ends
   * what is left, and stops listening. What is answered meanwhile is the last answer on its connection, so that a balancer that
   * keeps connections takes the next call elsewhere.
   */
  close(): Promise<void>
}

const drainGraceMs = 10_000

/** Puts the parts together and listens. It knows ports, not adapters. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { config, installation, sessions, watch, log, clock } = options
  const { limits } = config
  const { serveSockets } = config.webSocket.enabled ? await import('./serve-sockets.ts') : {}
  const hosts = config.server.dangerouslySkipHostCheck ? undefined : new Set<string>(config.server.allowedHosts)
  const assembly = await assemble(options, {
    hosts,
    origins: config.cors.dangerouslySkipOriginCheck ? undefined : new Set(config.cors.allowedOrigins),
    proxies: new ProxyRanges(config.server.trustedProxies),
  })
  const { services, dispatch, gate, verify, load, strangers } = assembly
  const { tokens } = installation

  const certificate = Certificate.open(config, options.project, clock)
  if (certificate !== undefined) watch.followCertificate(() => certificate.endsAt)

  let base = config.server.publicUrl?.replace(/\/$/, '') ?? ''
  const metadataUrl = () => `${base}/.well-known/oauth-protected-resource${config.server.endpoint}`
  const streams = new OpenStreams({
    heartbeatMs: limits.heartbeatMs,
    bufferBytesMax: limits.streamBufferBytesMax,
    stallMs: limits.streamStallMs,
  })
  const tickets = config.webSocket.enabled ? new Tickets(options.random) : undefined
  watch.followServing({ streams: () => streams.size + (sockets?.size ?? 0), calls: () => services.running.size })
  let leaving = false
  const isWell = () => !leaving && !load.behind && watch.isWell()
  const routesWith = (ready: () => boolean) =>
    routesFor({
      ...{ config, services, dispatch, ready, tickets },
      resource: () => `${base}${config.server.endpoint}`,
      keySet: () => tokens.signingKeys.keySet,
    })
  const onRefused = (call: Parameters<typeof observeRefusal>[0], fault: Fault) =>
    observeRefusal(call, fault, { audit: installation.audit, strangers, watch, log, clock })
  const sockets = tickets && serveSockets?.({ config, assembly, tickets, onRefused })
  const controlled = {
    ...{ config, gate, log, onRefused, folder: resolve(options.project, config.store.folder) },
    tls: certificate?.material,
    parts: options.control(sessions && sessionsOf(sessions, clock)),
    verify: verify('control'),
  }
  const shared = config.admin.listener === 'shared' ? sharedControl(controlled) : undefined
  const connections = new Connections(limits)
  const { enabled, dangerouslyIncludeCredentialed: credentialed } = config.compression
  const compression = enabled ? new Compression({ ...config.compression, credentialed }) : undefined
  const httpServer = (scheme: 'http' | 'https') => {
    const routes = routesWith(scheme === 'https' ? () => isWell() && certificate?.isCurrent() === true : isWell)
    return createHttpServer({
      gate,
      routes: shared === undefined ? routes : { get: (path) => routes.get(path) ?? shared.routes.get(path) },
      problem: shared?.problem,
      headers: answerHeaders({
        tls: scheme === 'https' || config.server.publicUrl?.startsWith('https:') === true,
        exposed: config.cors.exposedHeaders,
        rateForms: config.rateLimit.headers,
        style: shared?.style,
        compressed: compression !== undefined,
      }),
      streams,
      compression,
      tls: scheme === 'https' ? certificate?.material : undefined,
      bounds: limits,
      connections,
      challenge: () => `Bearer resource_metadata="${metadataUrl()}"`,
      proofs: config.identity.issuers.some(({ dpop }) => dpop === 'required') ? proofAlgorithms.join(' ') : undefined,
      edge: (call) => edge.run(call),
      upgrades: sockets?.upgrades,
      onRefused,
      onUnread: onRefused,
      onAnswered: requestLog(config.log.requests, log, gate, {
        route: (path) => routes.has(path),
        method: assembly.isMethod,
      }),
    })
  }

  const open: Listener<ReturnType<typeof httpServer>>[] = []
  let control: ServingControl
  try {
    await assembly.follow()
    for (const place of placesOf(config)) open.push(await listen(httpServer(place.scheme), place))
    if (base === '') base = open[0]!.url
    tokens.doors.serveAt(base)
    tokens.doors.open('mcp', `${base}${config.server.endpoint}`)
    if (hosts !== undefined && config.server.allowedHosts === undefined) {
      for (const host of [...open.flatMap((listener) => listener.hosts), ...publicHosts(base)]) hosts.add(host)
    }
    control = await serveControl(controlled)
  } catch (error) {
    await assembly.close()
    for (const { server } of open) {
      server.closeAllConnections()
      await stop(server)
    }
    throw error
  }
  const servers = open.map(({ server }) => server)
  const renewing = certificate?.follow([...servers, ...control.servers], log)
  for (const { url } of [{ url: base }, ...open]) shared?.serveAt(url)
  const controlBase = shared === undefined ? control.url : base
  if (controlBase !== undefined) tokens.doors.open('control', `${controlBase}/api`)

  const watching = options.mode === 'dev' ? watchCatalog(assembly.folder, assembly.reload) : undefined

  const endpoints = open.map(({ url }) => `${url}${config.server.endpoint}`)
  return {
    url: endpoints[0]!,
    clearUrl: endpoints[1],
    control: { url: control.url, socket: control.socket },
    async close() {
      leaving = true
      connections.ending = true
      await watching?.close()
      if (config.server.drainDelayMs > 0) await wait(config.server.drainDelayMs)
      load.draining = true
      const ended = services.running.drain(drainGraceMs).then(() => sockets?.close())
      await Promise.all([...servers.map((server) => stop(server, ended)), control.close()])
      clearInterval(renewing)
      await assembly.close()
    },
  }
}

/** TLS comes first: it is what clients elsewhere call, and what metadata and tokens name where no public address is set. */
function placesOf(config: Config): readonly Place[] {
  const { clear, tls } = listening(config)
  const what = 'the MCP endpoint'
  const instead = 'choose another with PORT or server.port'
  const ofItsOwn = 'choose another with HTTPS_PORT or tls.port'
  return [
    ...(tls === undefined ? [] : [{ ...tls, scheme: 'https' as const, what, instead: clear ? ofItsOwn : instead }]),
    ...(clear === undefined ? [] : [{ ...clear, scheme: 'http' as const, what, instead }]),
  ]
}
