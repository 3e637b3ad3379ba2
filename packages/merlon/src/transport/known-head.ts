import type { ServerResponse } from 'node:http'

/** What Node keeps of the head of an answer, beside what it documents. */
interface Kept {
  _header?: unknown
  _contentLength?: unknown
  readonly maxRequestsOnConnectionReached?: unknown
}

const secondMs = 1_000

/**
 * The head of the plainest answers of a server, as the text that Node made of the first of them: all that differs between
 * two is put into it anew. To have Node make it each time, of a dozen headers that do not change, is a twentieth of a call.
 *
 * What Node documents is not enough for that: the text goes where Node keeps it. Where this Node keeps none there, or the
 * connection is about to close, nothing is known and each head is made the usual way.
 */
export class KnownHead {
  private fixed: string | undefined
  private date = ''
  private dateUntil = 0

  /** Remembers the head that Node has just made, without its length, its date and these headers, a flat list. */
  learn(response: ServerResponse, changing: readonly string[]): void {
    const { _header: text } = response as Kept
    if (this.fixed !== undefined || !isOpen(response) || typeof text !== 'string' || !text.endsWith('\r\n\r\n')) return
    const names = new Set(['date', 'content-length', ...changing.map((name) => name.toLowerCase())])
    const lines = text.slice(0, -4).split('\r\n')
    if (lines[0] !== 'HTTP/1.1 200 OK' || !lines.some((line) => nameOf(line) === 'date')) return
    this.fixed = lines
      .filter((line) => !names.has(nameOf(line)))
      .map((line) => `${line}\r\n`)
      .join('')
  }

  /** Answers with this body, of so many bytes: whether it could. */
  send(response: ServerResponse, body: string, bytes: number, changing: readonly string[]): boolean {
    if (this.fixed === undefined || !isOpen(response)) return false
    let head = this.fixed
    for (let at = 0; at < changing.length; at += 2) head += `${changing[at]}: ${changing[at + 1]}\r\n`
    const kept = response as Kept
    kept._header = `${head}Content-Length: ${bytes}\r\nDate: ${this.today()}\r\n\r\n`
    kept._contentLength = bytes
    // A text as long as its bytes is ASCII, which needs no encoding.
    response.end(body, bytes === body.length ? 'latin1' : 'utf8')
    return true
  }

  /** The time as RFC 9110 §5.6.7 writes it. */
  private today(): string {
    const now = Date.now()
    if (now >= this.dateUntil || now < this.dateUntil - secondMs) {
      this.dateUntil = now - (now % secondMs) + secondMs
      this.date = new Date(now).toUTCString()
    }
    return this.date
  }
}

/** Whether the connection stays open after this answer: otherwise its head says so. */
function isOpen(response: ServerResponse): boolean {
  return response.shouldKeepAlive && (response as Kept).maxRequestsOnConnectionReached !== true
}

function nameOf(line: string): string {
  return line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase()
}
