import type { Server } from 'node:http'
import { pageStyleHash } from '../admin/api-page.ts'
import { operations, operationsByName } from '../admin/operations.ts'
import type { ControlParts } from '../admin/parts.ts'
import { controlPort } from '../config/listening.ts'
import type { Config } from '../config/schema.ts'
import { type BoundSocket, controlSocketOf, listenOnSocket, listens } from '../control-socket.ts'
import type { Log } from '../dispatch/services.ts'
import type { Gate } from '../guard/gate.ts'
import { publicHosts } from '../guard/own-hosts.ts'
import { ProxyRanges } from '../guard/proxy-ranges.ts'
import { answerHeaders } from '../transport/answer-headers.ts'
import { createHttpServer, type HttpOptions, type Problem } from '../transport/http-server.ts'
import { OpenStreams } from '../transport/open-streams.ts'
import type { RouteTable } from '../transport/routes.ts'
import type { TlsMaterial } from '../transport/tls.ts'
import { type ControlDoor, ControlRoutes, controlEdge, controlProblem } from './control-routes.ts'
import { listen, stop } from './listener.ts'
import { requestLog } from './observe.ts'

export interface ServeControlOptions {
  readonly config: Config
  readonly parts: ControlParts
  /** The data folder. */
  readonly folder: string
  /** That of the MCP endpoint: load, limits and clocks are those of the process. */
  readonly gate: Gate
  /** Checks a credential at the control plane's door. */
  readonly verify: Gate['verify']
  readonly tls: TlsMaterial | undefined
  readonly log: Log
  readonly onRefused: HttpOptions['onUnread']
}

export interface ServingControl {
  /** The address of the listener of its own. */
  readonly url: string | undefined
  /** The socket in the data folder. */
  readonly socket: string | undefined
  /** Those that speak TLS, for a renewed certificate. */
  readonly servers: readonly ReturnType<typeof createHttpServer>[]
  /** Takes no more calls, lets those under way finish, and stops listening. */
  close(): Promise<void>
}

/** The Host that a program at the socket sends: it has no name of its own. */
const socketHosts: ReadonlySet<string> = new Set(['localhost'])
const noOrigins: ReadonlySet<string> = new Set()

/** The control plane at the listener of the MCP endpoint: behind a door of its own, and everything else as there. */
export function sharedControl({ parts, verify, gate }: Pick<ServeControlOptions, 'parts' | 'verify' | 'gate'>): {
  readonly routes: RouteTable
  readonly problem: Problem
  /** The hash of the style of its page. */
  readonly style: string
  /** Told the address of the listener: a page of it may call, and no other, whatever MCP allows. */
  serveAt(url: string): void
} {
  const isOurs = (path: string | undefined) => path === '/metrics' || path?.startsWith('/api/') === true
  const own = operations.filter(({ path }) => isOurs(path))
  const origins = new Set<string>()
  return {
    routes: new ControlRoutes(own, parts, 'network', { ...gate, verify, origins }),
    serveAt: (url) => void origins.add(url),
    style: pageStyleHash,
    problem: (fault, call) => (isOurs(call.path) ? controlProblem(fault, call) : undefined),
  }
}

/** Serves the control plane: to whoever can open the socket in the data folder, and on an address of its own. */
export async function serveControl(options: ServeControlOptions): Promise<ServingControl> {
  const local = await serveSocket(options)
  try {
    const own = options.config.admin.listener === 'own' ? await serveAddress(options) : undefined
    return {
      url: own?.url,
      socket: local?.bound.path,
      servers: own === undefined ? [] : [own.server],
      async close() {
        local?.bound.release()
        await Promise.all([local?.server, own?.server].map((server) => server && stop(server)))
      },
    }
  } catch (error) {
    local?.bound.release()
    if (local !== undefined) await stop(local.server)
    throw error
  }
}

async function serveAddress(options: ServeControlOptions) {
  const { config, gate, verify, tls } = options
  const { admin } = config
  const hosts = new Set<string>(admin.allowedHosts)
  const origins = new Set<string>()
  const scheme = tls === undefined ? 'http' : 'https'
  const server = httpServer(options, 'network', { ...gate, verify, hosts, origins }, tls)
  const { url: address, hosts: own } = await listen(server, {
    ...{ scheme, host: admin.host, port: controlPort(config), what: 'the control plane' },
    instead: 'choose another port with MERLON_ADMIN_PORT or admin.port, or set admin.listener to off',
  })
  const url = admin.publicUrl?.replace(/\/$/, '') ?? address
  if (admin.allowedHosts === undefined) for (const host of [...own, ...publicHosts(url)]) hosts.add(host)
  // A page of this listener may call it, and no other page.
  for (const host of own) origins.add(`${scheme}://${host}`)
  origins.add(url)
  return { server, url }
}

/** `undefined` where there can be none: what is left is the listener, and why is in the log. */
async function serveSocket(
  options: ServeControlOptions,
): Promise<{ readonly server: Server; readonly bound: BoundSocket } | undefined> {
  const { folder, gate, log } = options
  if (process.platform === 'win32') return undefined
  const path = controlSocketOf(folder)
  if (await listens(path)) {
    log.warn({}, 'another server of this data folder has its control socket: this one is reached by address alone')
    return undefined
  }
  const server = httpServer(
    options,
    'local',
    { ...gate, hosts: socketHosts, origins: noOrigins, proxies: new ProxyRanges([]) },
    undefined,
  ) as Server
  try {
    return { server, bound: await listenOnSocket(server, path, folder) }
  } catch (cause) {
    server.close()
    log.warn({ err: cause }, 'there is no control socket')
    return undefined
  }
}

function httpServer(options: ServeControlOptions, door: ControlDoor, gate: Gate, tls: TlsMaterial | undefined) {
  const { config, parts, log, onRefused } = options
  const { limits, admin } = config
  return createHttpServer({
    gate,
    routes: new ControlRoutes(operations, parts, door),
    headers: answerHeaders({
      tls: tls !== undefined || admin.publicUrl?.startsWith('https:') === true,
      exposed: ['ETag', 'X-Request-Id'],
      style: pageStyleHash,
    }),
    streams: new OpenStreams({
      heartbeatMs: limits.heartbeatMs,
      bufferBytesMax: limits.streamBufferBytesMax,
      stallMs: limits.streamStallMs,
    }),
    tls,
    bounds: { ...limits, connectionsMax: Math.min(limits.connectionsMax, connectionsMax) },
    challenge: () => 'Bearer realm="merlon control plane"',
    edge: controlEdge(door),
    problem: controlProblem,
    onRefused,
    onUnread: onRefused,
    // A path of ours may hold an id: the operation says as much, in words that are no client's.
    onAnswered: requestLog(config.log.requests, log, gate, {
      route: () => false,
      method: (name) => operationsByName.has(name),
    }),
  })
}

/** Few people and programs manage a server. */
const connectionsMax = 256
