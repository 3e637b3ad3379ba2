import { connect, createServer, type Socket } from 'node:net'
import { Transform, type TransformCallback } from 'node:stream'

/**
 * A loopback proxy that adds headers to each request and changes nothing else: the conformance suite can send no
 * credential of its own. It works on bytes, so what a test does with whitespace, case or an odd header reaches the
 * server as it was sent, and what the server answers reaches the test.
 *
 * `Host` and `Origin` are changed only where they name this proxy, since the server would rightly refuse that name; a
 * foreign one goes through. Requests are framed by Content-Length alone; a chunked one ends the connection.
 */
export interface ProxyOptions {
  readonly upstreamPort: number
  /** Added to every request. */
  readonly headers: Readonly<Record<string, string>>
  /** What an Origin that names this proxy becomes. */
  readonly origin: string
}

export interface HeaderProxy {
  readonly port: number
  close(): Promise<void>
}

const headBytesMax = 65_536

/** Listens on a free port of 127.0.0.1. */
export async function openProxy({ upstreamPort, headers, origin }: ProxyOptions): Promise<HeaderProxy> {
  const open = new Set<Socket>()
  let names: Names | undefined
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      // An error is followed by a close, and the close of either side is the end of both.
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        if (socket === client) other.destroy()
        else other.destroySoon()
      })
    }
    const requests = new RequestRewriter((head) => rewriteHead(head, headers, names!))
    requests.on('error', () => client.destroy())
    client.pipe(requests).pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const { port } = address
  names = {
    hosts: new Map([
      [`localhost:${port}`, `localhost:${upstreamPort}`],
      [`127.0.0.1:${port}`, `127.0.0.1:${upstreamPort}`],
    ]),
    origins: new Map([
      [`http://localhost:${port}`, origin],
      [`http://127.0.0.1:${port}`, origin],
    ]),
  }
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}

interface Names {
  readonly hosts: ReadonlyMap<string, string>
  readonly origins: ReadonlyMap<string, string>
}

/** The head of one request, without its final empty line, with our headers added. */
function rewriteHead(head: string, headers: Readonly<Record<string, string>>, names: Names): string {
  const lines = head.split('\r\n').map((line) => {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const ours = name === 'host' ? names.hosts.get(value) : name === 'origin' ? names.origins.get(value) : undefined
    return ours === undefined ? line : `${line.slice(0, colon)}: ${ours}`
  })
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return lines.join('\r\n')
}

/** Finds the heads in a stream of HTTP/1.1 requests and passes each through `rewrite`; bodies go by untouched. */
class RequestRewriter extends Transform {
  readonly #rewrite: (head: string) => string
  #pending: Buffer = Buffer.alloc(0)
  #bodyBytesLeft = 0

  constructor(rewrite: (head: string) => string) {
    super()
    this.#rewrite = rewrite
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#take(this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]))
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  #take(bytes: Buffer): void {
    this.#pending = Buffer.alloc(0)
    while (bytes.length > 0) {
      if (this.#bodyBytesLeft > 0) {
        const body = bytes.subarray(0, this.#bodyBytesLeft)
        this.#bodyBytesLeft -= body.length
        bytes = bytes.subarray(body.length)
        this.push(body)
        continue
      }
      const end = bytes.indexOf('\r\n\r\n')
      if (end === -1) {
        if (bytes.length > headBytesMax) throw new Error('the head of a request is too large')
        this.#pending = bytes
        return
      }
      // latin1 keeps every byte of a head as it was.
      const head = bytes.toString('latin1', 0, end)
      if (/^transfer-encoding:/im.test(head)) throw new Error('a chunked request cannot be framed')
      this.#bodyBytesLeft = Number(/^content-length:[ \t]*(\d+)[ \t]*\r?$/im.exec(head)?.[1] ?? 0)
      bytes = bytes.subarray(end + 4)
      this.push(`${this.#rewrite(head)}\r\n\r\n`, 'latin1')
    }
  }
}
