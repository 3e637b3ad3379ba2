import type { ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import type { Reply } from '../call.ts'
import { type AnswerHeaders, addRate, corsHeaders } from './answer-headers.ts'
import type { Compression } from './compression.ts'
import type { Connections } from './connections.ts'
import type { HttpCall } from './http-call.ts'
import type { HttpOptions, OnAnswered } from './http-server.ts'
import type { OpenStreams } from './open-streams.ts'
import { encodeEvent, encodePriming } from './sse.ts'

/** No status of HTTP: the client went before there was an answer, or before its stream had ended. */
const clientLeft = 499

/** The way back over one HTTP exchange. */
export class HttpReply implements Reply {
  private readonly response: ServerResponse
  private readonly headers: AnswerHeaders
  private readonly streams: OpenStreams
  private readonly connections: Connections | undefined
  private readonly call: HttpCall
  private readonly onAnswered: OnAnswered | undefined
  private readonly compression: Compression | undefined
  private extra: string[] | undefined
  private listener: (() => void) | undefined
  private over = false
  private patient = false
  streaming = false

  constructor(
    response: ServerResponse,
    call: HttpCall,
    {
      headers,
      streams,
      connections,
      onAnswered,
      compression,
    }: Pick<HttpOptions, 'headers' | 'streams' | 'connections' | 'onAnswered' | 'compression'>,
  ) {
    this.response = response
    this.call = call
    this.headers = headers
    this.streams = streams
    this.connections = connections
    this.onAnswered = onAnswered
    this.compression = compression
  }

  get gone(): boolean {
    return this.over || this.response.destroyed
  }

  header(name: string, value: string): void {
    this.extra ??= []
    this.extra.push(name, value)
  }

  openStream(): void {
    if (this.streaming || this.gone) return
    this.streaming = true
    this.response.writeHead(200, this.head(this.headers.stream))
    this.response.flushHeaders()
    this.streams.add(this.response)
    this.watch()
  }

  event(message: string, id?: string): void {
    if (this.gone) return
    this.openStream()
    this.streams.write(this.response, encodeEvent(message, id))
  }

  prime(id: string, retryMs: number): void {
    if (this.gone) return
    this.openStream()
    this.streams.write(this.response, encodePriming(id, retryMs))
  }

  answer(message: string, status: number, id?: string): void {
    if (this.gone) return
    this.end()
    if (this.streaming) {
      this.response.end(encodeEvent(message, id))
      this.onAnswered?.(this.call, 200, undefined)
      return
    }
    const packed = this.compression?.pack(this.call, message)
    if (packed !== undefined) {
      this.answerPacked(status, this.head(this.headers.json), packed)
      return
    }
    const bytes = Buffer.byteLength(message)
    if (status === 200 && this.extra === undefined && this.call.origin === undefined) this.answerPlainly(message, bytes)
    else this.answerAs(status, this.head(this.headers.json), message, bytes)
    this.onAnswered?.(this.call, status, bytes)
  }

  /** As nearly every call is answered. */
  private answerPlainly(message: string, bytes: number): void {
    const { json, plain } = this.headers
    const rate: string[] = []
    addRate(rate, this.call, this.headers)
    if (plain.send(this.response, message, bytes, rate)) return
    this.answerAs(200, [...json, ...rate], message, bytes)
    plain.learn(this.response, this.headers.rateNames)
  }

  private answerPacked(status: number, head: string[], packed: Buffer | Promise<Buffer>): void {
    if (packed instanceof Promise) {
      void packed.then((bytes) => this.answerPacked(status, head, bytes)).catch(() => this.response.destroy())
    } else if (this.response.destroyed) this.onAnswered?.(this.call, clientLeft, undefined)
    else {
      head.push('Content-Encoding', 'gzip')
      this.answerAs(status, head, packed, packed.length)
      this.onAnswered?.(this.call, status, packed.length)
    }
  }

  private answerAs(status: number, head: string[], message: string | Buffer, bytes: number): void {
    head.push('Content-Length', String(bytes))
    this.response.writeHead(status, head)
    this.response.end(message)
  }

  document(text: string | AsyncIterable<string>, type: string, status: number): void {
    if (this.gone) return
    this.end()
    const head = this.head(this.headers.none)
    head.push('Content-Type', type)
    if (typeof text === 'string') {
      const packed = this.compression?.pack(this.call, text)
      if (packed !== undefined) {
        this.answerPacked(status, head, packed)
        return
      }
      const bytes = Buffer.byteLength(text)
      this.answerAs(status, head, text, bytes)
      this.onAnswered?.(this.call, status, bytes)
      return
    }
    this.response.writeHead(status, head)
    this.onAnswered?.(this.call, status, undefined)
    // A piece is made when the reader has taken the one before. One that cannot be made cuts the answer off, as it must.
    const pieces = Readable.from(text, { objectMode: false })
    const stop = this.onDisconnected(() => pieces.destroy())
    pipeline(pieces, this.response, stop)
  }

  finish(status = 202): void {
    if (this.gone) return
    this.end()
    if (!this.streaming) {
      const head = this.head(this.headers.none)
      if (status !== 204) head.push('Content-Length', '0')
      this.response.writeHead(status, head)
    }
    this.response.end()
    this.onAnswered?.(this.call, this.streaming ? 200 : status, this.streaming ? undefined : 0)
  }

  bePatient(): void {
    if (this.gone) return
    this.patient = true
    this.response.setTimeout(0)
  }

  onGone(listener: () => void): void {
    if (this.gone) {
      listener()
      return
    }
    this.listener = listener
    this.watch()
  }

  private end(): void {
    this.over = true
    if (this.connections?.ending) this.response.shouldKeepAlive = false
    this.call.answered()
    // Patience was with the call. A reader who does not take the answer has the time of any other.
    if (this.patient) this.response.setTimeout(this.streams.stallMs)
  }

  private watched = false

  private watch(): void {
    if (this.watched) return
    this.watched = true
    const closed = () => {
      this.response.removeListener('close', closed)
      stop?.()
      if (!this.over) this.onAnswered?.(this.call, clientLeft, undefined)
      this.over = true
      if (this.streaming) this.streams.remove(this.response)
      const { listener } = this
      this.listener = undefined
      listener?.()
    }
    let stop: (() => void) | undefined
    this.response.once('close', closed)
    stop = this.onDisconnected(closed)
  }

  /**
   * Calls back when the connection of a response closes that waits behind another on it: the first releases of Node 24 do not
   * tell such a one. Answers how to stop that.
   */
  private onDisconnected(listener: () => void): () => void {
    return this.response.socket === null ? this.call.onDisconnected(listener) : () => undefined
  }

  private head(base: readonly string[]): string[] {
    const head = base.slice()
    // What may be kept says so before anything else, and that takes the place of the usual.
    if (this.extra?.[0] === 'Cache-Control') head[head.indexOf('no-store')] = this.extra.splice(0, 2)[1]!
    if (this.call.origin !== undefined) head.push(...corsHeaders(this.call.origin, this.headers))
    addRate(head, this.call, this.headers)
    if (this.extra !== undefined) head.push(...this.extra)
    return head
  }
}
