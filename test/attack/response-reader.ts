/** The head of one HTTP response. */
export interface ResponseHead {
  readonly status: number
  /** As sent, in order. */
  readonly lines: readonly (readonly [name: string, value: string])[]
}

export type ResponsePart =
  | { readonly part: 'head'; readonly head: ResponseHead }
  | { readonly part: 'body'; readonly bytes: Buffer }
  | { readonly part: 'end' }

type Frame = { kind: 'length' | 'chunk'; left: number } | { kind: 'size' | 'trailer' | 'close' }

const none = Buffer.alloc(0)

/**
 * Reads HTTP/1.1 responses from bytes as they come, one after another (RFC 9112 §6). Written for tests: it believes the
 * server's framing and throws where that is not HTTP.
 */
export class ResponseReader {
  #bytes: Buffer = none
  #frame: Frame | undefined
  /** The verbs of the requests that are still to be answered: a HEAD has no body. */
  readonly #verbs: string[] = []

  expect(verb: string): void {
    this.#verbs.push(verb)
  }

  *push(chunk: Buffer): Generator<ResponsePart> {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const part = this.#frame === undefined ? this.#readHead() : this.#readBody(this.#frame)
      if (part === undefined) return
      yield* part
    }
  }

  /** The peer has ended: a body without a length ends with it. Answers whether a response was cut off. */
  end(): { readonly finished: boolean; readonly cut: boolean } {
    const finished = this.#frame?.kind === 'close'
    return { finished, cut: !finished && (this.#frame !== undefined || this.#bytes.length > 0) }
  }

  #readHead(): ResponsePart[] | undefined {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [first = '', ...rest] = this.#take(end + 4)
      .toString('latin1')
      .slice(0, -4)
      .split('\r\n')
    const status = Number(/^HTTP\/1\.1 ([1-5][0-9]{2})(?: |$)/.exec(first)?.[1])
    if (Number.isNaN(status)) throw new Error(`not a status line: ${first.slice(0, 100)}`)
    if (status < 200) return []
    const lines = rest.map((line): readonly [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
    const head: ResponsePart = { part: 'head', head: { status, lines } }
    const value = (name: string) => lines.find(([each]) => each.toLowerCase() === name)?.[1]
    const bare = this.#verbs.shift() === 'HEAD' || status === 204 || status === 304
    if (bare) return [head, { part: 'end' }]
    if (value('transfer-encoding') === 'chunked') this.#frame = { kind: 'size' }
    else if (value('content-length') !== undefined)
      this.#frame = { kind: 'length', left: Number(value('content-length')) }
    else this.#frame = { kind: 'close' }
    return [head]
  }

  #readBody(frame: Frame): ResponsePart[] | undefined {
    switch (frame.kind) {
      case 'close':
        return this.#bytes.length === 0 ? undefined : [{ part: 'body', bytes: this.#take(this.#bytes.length) }]
      case 'size': {
        const line = this.#line()
        if (line === undefined) return undefined
        const left = Number.parseInt(line, 16)
        this.#frame = left === 0 ? { kind: 'trailer' } : { kind: 'chunk', left: left + 2 }
        return []
      }
      case 'trailer': {
        const line = this.#line()
        if (line === undefined) return undefined
        if (line !== '') return []
        this.#frame = undefined
        return [{ part: 'end' }]
      }
      case 'chunk':
      case 'length': {
        if (frame.left === 0) {
          this.#frame = frame.kind === 'chunk' ? { kind: 'size' } : undefined
          return frame.kind === 'chunk' ? [] : [{ part: 'end' }]
        }
        if (this.#bytes.length === 0) return undefined
        const taken = this.#take(Math.min(frame.left, this.#bytes.length))
        // The last two bytes of a chunk are its line end.
        const payload = frame.kind === 'chunk' ? taken.subarray(0, Math.max(0, frame.left - 2)) : taken
        frame.left -= taken.length
        return payload.length === 0 ? [] : [{ part: 'body', bytes: payload }]
      }
    }
  }

  #line(): string | undefined {
    const end = this.#bytes.indexOf('\r\n')
    return end < 0
      ? undefined
      : this.#take(end + 2)
          .toString('latin1')
          .slice(0, -2)
  }

  #take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return taken
  }
}
