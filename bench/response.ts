/** One HTTP response. `body` is free of chunk framing, and valid only during the callback that receives it. */
export interface Response {
  readonly status: number
  /** The status line and the header lines as they came, `\r\n` between them. */
  readonly head: string
  readonly body: Buffer
}

const headEnd = Buffer.from('\r\n\r\n')
const lineEnd = Buffer.from('\r\n')
const nothing = Buffer.alloc(0)

/** The value of a header in a `Response.head`, or undefined. `name` in lower case. */
export function header(head: string, name: string): string | undefined {
  const start = head.toLowerCase().indexOf(`\r\n${name}:`)
  if (start === -1) return undefined
  const from = start + name.length + 3
  const end = head.indexOf('\r\n', from)
  return head.slice(from, end === -1 ? head.length : end).trim()
}

/**
 * Reads the responses of one keep-alive connection: lengths and chunks, no trailers, no pipelining past what was asked.
 * It trusts the servers that the benchmark started, and throws on what it cannot read, so that a row becomes invalid
 * instead of wrong. Bytes given to `push` may be reused by the caller once it returns.
 */
export class ResponseReader {
  readonly #onResponse: (response: Response) => void
  readonly #onHead: ((status: number, head: string) => void) | undefined
  /** What has arrived and is not yet used; a copy, since the caller reuses its buffer. */
  #rest: Buffer = nothing
  #status = 0
  #head: string | undefined
  /** Bytes of body or of the present chunk still to come; -1 where a chunk size line is next. */
  #left = 0
  #chunked = false
  #parts: Buffer[] = []

  /** `onHead`, where given, is told of each head as soon as it is complete; a stream that stays open has no more. */
  constructor(onResponse: (response: Response) => void, onHead?: (status: number, head: string) => void) {
    this.#onResponse = onResponse
    this.#onHead = onHead
  }

  /** Body bytes that have arrived of a response that has not ended. */
  get partial(): Buffer {
    return Buffer.concat(this.#parts)
  }

  push(bytes: Buffer): void {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = nothing
    for (;;) {
      if (this.#head === undefined) {
        const end = data.indexOf(headEnd)
        if (end === -1) {
          this.#keep(data)
          return
        }
        this.#readHead(data, end)
        data = data.subarray(end + 4)
        this.#onHead?.(this.#status, this.#head!)
      }
      const used = this.#chunked ? this.#readChunks(data) : this.#readBody(data)
      if (used === undefined) return
      data = data.subarray(used)
      if (data.length === 0) return
    }
  }

  #keep(data: Buffer): void {
    this.#rest = Buffer.from(data)
  }

  #readHead(data: Buffer, end: number): void {
    if (data.toString('latin1', 0, 7) !== 'HTTP/1.') throw new Error('not an HTTP/1 response')
    this.#status = (data[9]! - 48) * 100 + (data[10]! - 48) * 10 + (data[11]! - 48)
    const head = data.toString('latin1', 0, end)
    this.#head = head
    this.#parts = []
    this.#chunked = header(head, 'transfer-encoding') === 'chunked'
    if (this.#chunked) {
      this.#left = -1
      return
    }
    const length = header(head, 'content-length')
    if (length === undefined && this.#status !== 202 && this.#status !== 204)
      throw new Error('a response has no length')
    this.#left = length === undefined ? 0 : Number(length)
    if (!Number.isSafeInteger(this.#left) || this.#left < 0) throw new Error('a response has no readable length')
  }

  /** How many bytes were used when the response is complete, or undefined when more must come. */
  #readBody(data: Buffer): number | undefined {
    const used = this.#left
    if (data.length < used) {
      if (data.length > 0) this.#parts.push(Buffer.from(data))
      this.#left -= data.length
      return undefined
    }
    this.#finish(data.subarray(0, used))
    return used
  }

  #readChunks(data: Buffer): number | undefined {
    let at = 0
    for (;;) {
      if (this.#left === -1) {
        const end = data.indexOf(lineEnd, at)
        if (end === -1) {
          this.#keep(data.subarray(at))
          return undefined
        }
        const size = Number.parseInt(data.toString('latin1', at, end), 16)
        if (!(size >= 0)) throw new Error('a chunk has no size')
        if (size === 0) {
          // The last chunk is followed by one empty line, since no server here sends trailers.
          if (data.length < end + 4) {
            this.#keep(data.subarray(at))
            return undefined
          }
          if (data[end + 2] !== 13 || data[end + 3] !== 10) throw new Error('a response has trailers')
          this.#finish(nothing)
          return end + 4
        }
        this.#left = size
        at = end + 2
      }
      // The line end after a chunk belongs to it, so that it is never mistaken for a size line.
      if (data.length < at + this.#left + 2) {
        this.#keep(data.subarray(at))
        return undefined
      }
      this.#parts.push(Buffer.from(data.subarray(at, at + this.#left)))
      at += this.#left + 2
      this.#left = -1
    }
  }

  #finish(last: Buffer): void {
    const parts = this.#parts
    const body =
      parts.length === 0 ? last : parts.length === 1 && last.length === 0 ? parts[0]! : Buffer.concat([...parts, last])
    const head = this.#head!
    const status = this.#status
    this.#head = undefined
    this.#parts = []
    this.#onResponse({ status, head, body })
  }
}
