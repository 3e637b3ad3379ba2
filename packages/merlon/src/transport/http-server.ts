import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Reply } from '../call.ts'
import { Fault, faultOf } from '../errors.ts'
import type { Arrival, Gate } from '../guard/gate.ts'
import { chargeRefused } from '../guard/limit-calls.ts'
import type { AnswerHeaders } from './answer-headers.ts'
import { demandCertificates } from './client-certificates.ts'
import type { Compression } from './compression.ts'
import { type ConnectionBounds, Connections } from './connections.ts'
import { HttpCall, type Slots } from './http-call.ts'
import { HttpReply } from './http-reply.ts'
import type { OpenStreams } from './open-streams.ts'
import { refuse } from './refuse.ts'
import type { RouteTable } from './routes.ts'
import { type TlsMaterial, tlsOptions } from './tls.ts'
import { onUpgrade, type Upgrades } from './upgrade.ts'

export interface HttpBounds extends ConnectionBounds {
  readonly callsPerConnectionMax: number
}

export type Problem = (
  fault: Fault,
  call: { readonly path?: string; readonly requestId: string | undefined },
) => string | undefined

export type OnAnswered = (call: HttpCall, status: number, bytes: number | undefined) => void

export interface HttpOptions {
  readonly gate: Gate
  readonly routes: RouteTable
  readonly headers: AnswerHeaders
  readonly streams: OpenStreams
  /** Compresses what may be. Default: nothing is. */
  readonly compression?: Compression | undefined
  readonly bounds: HttpBounds
  /** Counts the connections of several listeners as one. Default: those of this one. */
  readonly connections?: Connections
  /** Speaks TLS with these, and nothing else. */
  readonly tls: TlsMaterial | undefined
  /** The value of WWW-Authenticate without error and scope. */
  readonly challenge: () => string
  /** The algorithms of proofs of possession, where some tokens need one (RFC 9449 §7.1). */
  readonly proofs?: string | undefined
  /** The guards of a path or method that is not served: it is refused like any other before it is looked for. */
  readonly edge: (call: Arrival) => unknown
  /** The body of a refusal where it is a problem document (RFC 9457). Default: nowhere. `path` is unknown where nothing could be read. */
  readonly problem?: Problem | undefined
  /** Opens sockets. Where there is none, a request that asks for one is refused like any other that is not plain. */
  readonly upgrades?: Upgrades | undefined
  /** Told of each answer that is complete; `bytes` of its body, where that was no stream. */
  readonly onAnswered?: OnAnswered | undefined
  /** Records a refusal: called exactly once for each. */
  readonly onRefused: (call: HttpCall, fault: Fault) => void
  /** Records what came over a connection and could not be read as HTTP, or did not come whole in time. */
  readonly onUnread: (from: Pick<HttpCall, 'requestId' | 'address'>, fault: Fault) => void
}

const headerBytesMax = 16_384

/** The HTTP/1.1 server. It moves bytes and has no opinions: what is refused is refused by guards, and answered here. */
export function createHttpServer(options: HttpOptions): Server | TlsServer {
  const { gate, routes, bounds } = options
  const settings = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: 1_000,
    requireHostHeader: false,
    noDelay: true,
  }
  const server: Server | TlsServer =
    options.tls === undefined ? createServer(settings) : tlsServer(settings, options.tls, options)
  // Node must drop no header line unseen: a guard counts them (TR-05).
  server.maxHeadersCount = 0
  server.maxConnections = bounds.connectionsMax
  server.maxRequestsPerSocket = 100_000
  server.timeout = 60_000

  const slotsOf = new WeakMap<Socket, Slots>()

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    let slots = slotsOf.get(socket)
    if (slots === undefined) {
      slots = { taken: 0 }
      slotsOf.set(socket, slots)
    }
    if (++slots.taken > bounds.callsPerConnectionMax) {
      socket.destroy()
      return
    }
    slots.latest = response
    if (options.connections?.ending) response.shouldKeepAlive = false
    const call = new HttpCall(request, response, gate, slots)
    const reply = (): Reply => new HttpReply(response, call, options)
    const fail = (thrown: unknown) => {
      const fault = chargeRefused(call, faultOf(thrown))
      if (fault instanceof Promise) void fault.then(answerRefusal)
      else answerRefusal(fault)
    }
    const answerRefusal = (fault: Fault) => {
      options.onRefused(call, fault)
      refuse(response, call, fault, options)
    }
    try {
      const verbs = routes.get(call.path)
      const verb = verbs?.get(call.verb)
      if (verb === undefined) {
        options.edge(call)
        throw verbs === undefined
          ? new Fault('route.unknown')
          : new Fault('verb.refused', { allow: [...verbs.keys()].join(', ') })
      }
      const served = verb.serve(call, reply)
      if (served instanceof Promise) served.catch(fail)
    } catch (thrown) {
      fail(thrown)
    }
  }
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  // An expectation that we do not know is no reason for an answer of Node's own, past the guards and without our headers.
  server.on('checkExpectation', onRequest)

  const { upgrades } = options
  if (upgrades !== undefined) {
    const isFree = (socket: Socket) => (slotsOf.get(socket)?.taken ?? 0) === 0
    server.on('upgrade', onUpgrade(options, upgrades, isFree))
  }

  const connections = options.connections ?? new Connections(bounds)
  server.on('connection', (socket: Socket) => connections.admit(socket))

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const fault = new Fault(
      error.code === 'HPE_HEADER_OVERFLOW'
        ? 'head.too-large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? 'body.timeout'
          : 'request.invalid',
      { reason: error.code ?? 'http' },
    )
    const { http, code, says } = fault.spec
    const requestId = gate.nextRequestId()
    const address = gate.proxies.clientAddress(socket.remoteAddress ?? '', undefined)
    options.onUnread({ requestId, address }, fault)
    if (!hasRoom(slotsOf.get(socket), fault)) {
      socket.destroy()
      return
    }
    const problem = options.problem?.(fault, { requestId })
    const body = problem ?? JSON.stringify({ error: says, code })
    const lines = (problem === undefined ? options.headers.json : options.headers.problem).flatMap((_, at, all) =>
      at % 2 === 0 ? [`${all[at]}: ${all[at + 1]}`] : [],
    )
    socket.end(
      [
        `HTTP/1.1 ${http} Refused`,
        ...lines,
        `Content-Length: ${Buffer.byteLength(body)}`,
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
    )
  })
  return server
}

function tlsServer(
  settings: ServerOptions,
  { context, demand }: TlsMaterial,
  { gate, onUnread }: HttpOptions,
): TlsServer {
  const asking = demand === undefined ? {} : { requestCert: true, rejectUnauthorized: false }
  const server = createTlsServer({ ...settings, ...tlsOptions, ...asking, ...context })
  if (demand === undefined) return server
  demandCertificates(server, demand, (socket, reason) => {
    const address = gate.proxies.clientAddress(socket.remoteAddress ?? '', undefined)
    onUnread({ requestId: gate.nextRequestId(), address }, new Fault('credential.certificate', { reason }))
  })
  return server
}

/**
 * Whether a connection on which something went wrong can carry an answer to that: not in the middle of another answer, nor
 * before one that is still to come. A request whose body came too slowly is the one that waits.
 */
function hasRoom(slots: Slots | undefined, fault: Fault): boolean {
  if (slots === undefined || slots.taken === 0) return true
  return fault.code === 'body.timeout' && slots.taken === 1 && slots.latest?.headersSent === false
}
