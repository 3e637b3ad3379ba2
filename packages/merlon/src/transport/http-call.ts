import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '../errors.ts'
import type { Gate, Head } from '../guard/gate.ts'
import type { Rate } from '../guard/limit-calls.ts'
import { thumbprintOf } from './client-certificates.ts'

/** How many requests of one connection are being answered. */
export interface Slots {
  taken: number
  /** The response to the request that came last. */
  latest?: ServerResponse
  /** To be told when the connection closes. */
  waiting?: Set<() => void>
}

/**
 * One HTTP request on its way through the guards. What they prove is assigned to it; the fields are declared here so that
 * all calls have one shape.
 */
export class HttpCall implements Head {
  readonly gate: Gate
  readonly verb: string
  readonly url: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  private readonly request: IncomingMessage
  private readonly response: ServerResponse
  requestId: string | undefined = undefined
  startedAt: number | undefined = undefined
  address: string | undefined = undefined
  origin: string | undefined = undefined
  principal: unknown = undefined
  body: unknown = undefined
  message: unknown = undefined
  envelope: unknown = undefined
  session: unknown = undefined
  method: unknown = undefined
  target: unknown = undefined
  input: unknown = undefined
  /** What it was refused with, or ended with. */
  fault: unknown = undefined
  endpoint: unknown = undefined
  rate: Rate | undefined = undefined
  reserved: unknown = undefined

  private readonly slots: Slots

  constructor(request: IncomingMessage, response: ServerResponse, gate: Gate, slots: Slots) {
    this.gate = gate
    this.slots = slots
    this.request = request
    this.response = response
    this.verb = request.method ?? ''
    this.url = request.url ?? ''
    const query = this.url.indexOf('?')
    this.path = query < 0 ? this.url : this.url.slice(0, query)
    this.headers = request.headers
    this.rawHeaders = request.rawHeaders
  }

  /** Called when it has been answered: its connection may bring another. */
  answered(): void {
    this.slots.taken--
  }

  /** The head of the request is the call itself: no second object. */
  get head(): Head {
    return this
  }

  get peerAddress(): string {
    return this.request.socket.remoteAddress ?? ''
  }

  /** The thumbprint of the client's certificate, where it has shown one that is good. */
  get certificateThumbprint(): string | undefined {
    return thumbprintOf(this.request.socket)
  }

  /**
   * Calls back when the connection closes, at once where it has. Answers how to stop that. However many ask, the socket has one
   * listener.
   */
  onDisconnected(listener: () => void): () => void {
    const { slots } = this
    const { socket } = this.request
    if (socket.closed) {
      listener()
      return () => undefined
    }
    let { waiting } = slots
    if (waiting === undefined) {
      const told = new Set<() => void>()
      socket.once('close', () => {
        for (const each of told) each()
      })
      waiting = slots.waiting = told
    }
    waiting.add(listener)
    return () => void waiting.delete(listener)
  }

  readBody(bytesMax: number): Promise<Buffer> {
    const { request } = this
    const declared = request.headers['content-length']
    if (declared !== undefined && Number(declared) > bytesMax) return Promise.reject(new Fault('body.too-large'))
    // The client may have left while it was found out who it is; nobody would tell us again.
    if (request.destroyed) return Promise.reject(new Fault('call.cancelled'))
    if (request.headers.expect !== undefined) this.response.writeContinue()
    return new Promise((resolve, reject) => {
      let first: Buffer | undefined
      let more: Buffer[] | undefined
      let size = 0
      request.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > bytesMax) {
          request.removeAllListeners('data')
          request.resume()
          reject(new Fault('body.too-large'))
        } else if (first === undefined) first = chunk
        else if (more === undefined) more = [first, chunk]
        else more.push(chunk)
      })
      request.on('end', () => resolve(more === undefined ? (first ?? empty) : Buffer.concat(more)))
      request.on('close', () => {
        if (!request.complete) reject(new Fault('call.cancelled'))
      })
    })
  }
}

const empty = Buffer.alloc(0)
