/**
 * MCP over WebSocket, for a client: a transport as the official SDKs take one (`Client.connect`), without a dependency on
 * them. It runs in Node.js and in browsers, and imports nothing.
 */

/** A WebSocket as far as this needs one. That of browsers and Node.js is one, and so is that of the package `ws`. */
export interface WebSocketLike {
  readonly protocol: string
  send(text: string): void
  close(code?: number, reason?: string): void
  // biome-ignore lint/suspicious/noExplicitAny: each implementation has event classes of its own
  addEventListener(type: 'open' | 'close' | 'error' | 'message', listener: (event: any) => void): void
}

export interface WebSocketTransportOptions {
  /**
   * Sent with the request that opens the socket, such as `{ Authorization: 'Bearer mrl_…' }`. A browser's WebSocket sends
   * none: a page has a `ticket`.
   */
  readonly headers?: Readonly<Record<string, string>>
  /** Answers a one-time ticket in the place of a credential: see `fetchTicket`. Asked for when the socket is opened. */
  readonly ticket?: () => Promise<string>
  /** Opens the socket. Default: the WebSocket of the platform. */
  readonly connect?: (url: string, protocols: string[], headers: Readonly<Record<string, string>>) => WebSocketLike
}

/** The socket was closed, or could not be opened; `code` is that of RFC 6455 §7.4 where there is one. */
export class WebSocketClosedError extends Error {
  readonly code: number | undefined
  readonly reason: string

  constructor(says: string, code?: number, reason = '') {
    super(says)
    this.name = 'WebSocketClosedError'
    this.code = code
    this.reason = reason
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a message is whatever the SDK in use says it is
type Any = any

/**
 * Carries the messages of one client over one socket. It does not open a socket again that was closed: its session has
 * ended with it, and its calls are not known to have been done or not. Make a new one and connect again.
 */
export class WebSocketClientTransport {
  /** Told once, when the socket is closed. */
  onclose?: (() => void) | undefined
  /** Told of what is wrong, among it why the socket was closed where that was not asked for. */
  onerror?: ((error: Error) => void) | undefined
  onmessage?: ((message: Any, extra?: Any) => void) | undefined
  /** There is none to tell: a session is the socket's own. */
  readonly sessionId: undefined = undefined
  /** The revision that the client and the server have settled on, once they have. */
  protocolVersion: string | undefined = undefined
  readonly #url: string
  readonly #options: WebSocketTransportOptions
  #socket: WebSocketLike | undefined
  #started = false
  #leaving = false
  readonly #events: (() => void)[] = []

  /**
   * `url`: the address of the MCP endpoint, by ws, wss, http or https. Throws where it holds a credential, and where one would
   * cross a network in clear.
   */
  constructor(url: string | URL, options: WebSocketTransportOptions = {}) {
    this.#url = socketUrl(url)
    this.#options = options
    if (options.headers !== undefined && options.ticket !== undefined)
      throw new TypeError('a socket is opened with headers or with a ticket, not with both')
  }

  /** Opens the socket. Rejects with a WebSocketClosedError where the server does not. */
  async start(): Promise<void> {
    if (this.#started) throw new Error('the socket was opened before')
    this.#started = true
    const { headers = {}, ticket, connect = openSocket } = this.#options
    const protocols = ticket === undefined ? ['mcp'] : ['mcp', `mcp.ticket.${await ticket()}`]
    if (this.#leaving) throw new WebSocketClosedError('the socket could not be opened: it was closed before')
    const socket = connect(this.#url, protocols, headers)
    this.#socket = socket
    let why: string | undefined
    let open = false
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => {
        open = true
        resolve()
      })
      socket.addEventListener('error', ({ message, error }: { readonly message?: string; readonly error?: Error }) => {
        why = message || error?.message || why
        if (open) this.#inTurn(() => this.onerror?.(error ?? new Error(why ?? 'the socket failed')))
      })
      socket.addEventListener('message', ({ data }: { readonly data: unknown }) => this.#inTurn(() => this.#take(data)))
      socket.addEventListener('close', ({ code, reason }: { readonly code: number; readonly reason: string }) => {
        if (!open) {
          const because = why === undefined ? '' : `: ${why}`
          reject(new WebSocketClosedError(`the socket could not be opened${because}`, code, reason))
          return
        }
        this.#inTurn(() => this.#closed(code, reason))
      })
    })
    if (socket.protocol === 'mcp') return
    socket.close(1002)
    throw new WebSocketClosedError('the server does not speak mcp over WebSocket')
  }

  /** Sends one message. Resolves when it has been given to the socket, which is not when it has arrived. */
  async send(message: unknown): Promise<void> {
    if (this.#socket === undefined) throw new Error('the socket is not open')
    this.#socket.send(JSON.stringify(message))
  }

  /** Closes the socket, and with it the session and all calls under way. */
  async close(): Promise<void> {
    this.#leaving = true
    this.#socket?.close(1000)
  }

  setProtocolVersion(version: string): void {
    this.protocolVersion = version
  }

  /**
   * One event in each turn of the event loop, in their order. A WebSocket that is not a browser's may hand over several at once;
   * the SDKs take a result at once and a notification a moment later, and forget in between who listened to it.
   */
  #inTurn(event: () => void): void {
    this.#events.push(event)
    if (this.#events.length === 1) this.#next()
  }

  #next(): void {
    nextTurn(() => {
      this.#events.shift()
      if (this.#events.length > 0) this.#next()
    })
    this.#events[0]?.()
  }

  #closed(code: number, reason: string): void {
    if (!this.#leaving && code !== 1000)
      this.onerror?.(new WebSocketClosedError(`the socket was closed with ${code} ${reason}`, code, reason))
    this.onclose?.()
  }

  #take(data: unknown): void {
    let message: unknown
    try {
      message = JSON.parse(String(data))
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)))
      return
    }
    this.onmessage?.(message)
  }
}

/**
 * Asks a server for a ticket: good once, for half a minute, for the page that asks. `url` is the address of the MCP
 * endpoint; the credential goes in `headers`. Rejects where none is given.
 */
export async function fetchTicket(url: string | URL, headers: Readonly<Record<string, string>>): Promise<string> {
  const address = new URL(socketUrl(url))
  address.protocol = address.protocol === 'wss:' ? 'https:' : 'http:'
  address.pathname = `${address.pathname.replace(/\/$/, '')}/ticket`
  const answer = await fetch(address, { method: 'POST', headers })
  if (!answer.ok) throw new Error(`no ticket was given: ${answer.status} ${await answer.text()}`)
  const { ticket } = (await answer.json()) as { ticket?: unknown }
  if (typeof ticket !== 'string') throw new Error('no ticket was given: the answer holds none')
  return ticket
}

function nextTurn(work: () => void): void {
  const { setImmediate = setTimeout } = globalThis as { setImmediate?: (work: () => void) => unknown }
  setImmediate(work)
}

const schemes: Readonly<Record<string, 'ws:' | 'wss:'>> = {
  'http:': 'ws:',
  'ws:': 'ws:',
  'https:': 'wss:',
  'wss:': 'wss:',
}
const loopback = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

function socketUrl(given: string | URL): string {
  const url = new URL(given)
  const scheme = schemes[url.protocol]
  if (scheme === undefined) throw new TypeError(`${url.protocol} is no address of a socket: use wss:`)
  if (url.username !== '' || url.password !== '') throw new TypeError('a credential does not belong in an address')
  if (scheme === 'ws:' && !loopback.test(url.hostname))
    throw new TypeError(`${url.hostname} would be called in clear: use wss:`)
  url.protocol = scheme
  return url.href
}

/** With the platform's own WebSocket. That of Node.js takes headers beside the protocols; that of a browser takes none. */
function openSocket(url: string, protocols: string[], headers: Readonly<Record<string, string>>): WebSocketLike {
  if (Object.keys(headers).length === 0) return new WebSocket(url, protocols)
  const isNode = (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node !== undefined
  if (!isNode) throw new TypeError('a WebSocket of a browser sends no headers: use a ticket')
  const WithHeaders = WebSocket as unknown as new (url: string, init: object) => WebSocketLike
  return new WithHeaders(url, { protocols, headers })
}
