import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Where the server is, and how long any one answer may take. */
export interface Target {
  readonly url: URL
  readonly timeoutMs: number
  /** The Host header of the address. */
  readonly host: string
  /** Whether the certificate need not be trusted: it is looked at by a probe of its own. */
  readonly trustAny?: boolean
}

/** An answer as it came, as far as a probe looks at it. */
export interface Answer {
  readonly status: number
  /** Lower-case names; a name that came twice has both values. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

/** The connection was closed, or nothing came in time; both are refusals where a refusal is wanted. */
export type Exchange = Answer | 'closed' | 'timeout' | 'unreachable'

const bodyBytesMax = 65_536

/** Sends exactly these bytes on a connection of its own and reads one answer, or its beginning. */
export function exchange(target: Target, bytes: string | Buffer): Promise<Exchange> {
  return new Promise((resolve) => {
    const socket = open(target)
    const chunks: Buffer[] = []
    let length = 0
    let reached = false
    const timer = setTimeout(() => finish('timeout'), target.timeoutMs)
    const finish = (otherwise: Exchange): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(parse(Buffer.concat(chunks)) ?? otherwise)
    }
    socket.once(target.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      reached = true
      socket.write(bytes)
    })
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > bodyBytesMax || whole(Buffer.concat(chunks))) finish('closed')
    })
    socket.on('end', () => finish('closed'))
    socket.on('error', () => finish(reached ? 'closed' : 'unreachable'))
    socket.on('close', () => finish(reached ? 'closed' : 'unreachable'))
  })
}

export function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80))
}

/** The host to connect to, without the brackets of an IPv6 literal. */
export function addressOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function open({ url, trustAny = true }: Target): Socket {
  const at = { host: addressOf(url), port: portOf(url) }
  if (url.protocol !== 'https:') return connect(at)
  const servername = /^[\d.]+$|:/.test(at.host) ? '' : at.host
  return connectTls({ ...at, servername, rejectUnauthorized: !trustAny })
}

/** Whether the head, and as much of the body as it announces, is there. A stream of events is done with its head. */
function whole(bytes: Buffer): boolean {
  const answer = parse(bytes)
  if (answer === undefined) return false
  const end = bytes.indexOf('\r\n\r\n') + 4
  const announced = answer.headers.get('content-length')?.[0]
  if (announced !== undefined) return bytes.length - end >= Number(announced)
  if (answer.headers.get('content-type')?.[0]?.startsWith('text/event-stream') === true) return true
  if (answer.status === 204 || answer.status === 304) return true
  return answer.headers.has('transfer-encoding') && bytes.includes('\r\n0\r\n\r\n', end - 2)
}

function parse(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = /^HTTP\/1\.[01] ([1-5][0-9]{2})/.exec(first)?.[1]
  if (status === undefined) return undefined
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  const body = bytes.toString('utf8', end + 4)
  return { status: Number(status), headers, body: headers.has('transfer-encoding') ? unchunked(body) : body }
}

/** The data of the chunks that came; a body is read for what it says, so that a cut one will do. */
function unchunked(body: string): string {
  let rest = body
  let data = ''
  for (;;) {
    const size = /^([0-9a-f]+)[^\r\n]*\r\n/i.exec(rest)
    const length = Number.parseInt(size?.[1] ?? '0', 16)
    if (size === null || length === 0) return data
    data += rest.slice(size[0].length, size[0].length + length)
    rest = rest.slice(size[0].length + length + 2)
  }
}

export interface RequestGiven {
  readonly verb?: string
  /** The request target. Default: the path of the address. */
  readonly target?: string
  /** Header lines in this order; a Host is put first unless one is among them. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string | Buffer
}

/** The bytes of a request, with a length that fits its body. The connection is asked to end with the answer. */
export function request(target: Target, { verb = 'POST', target: path, headers = [], body }: RequestGiven): Buffer {
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const lines = [
    `${verb} ${path ?? target.url.pathname} HTTP/1.1`,
    ...(named.has('host') ? [] : [`Host: ${target.host}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined || named.has('content-length') ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    'Connection: close',
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body ?? '')])
}
