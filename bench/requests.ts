/** How to talk to one server: what a row of the table needs beyond its name. */
export interface Target {
  readonly port: number
  readonly path: string
  readonly revision: '2025-11-25' | '2026-07-28'
  /** Whether a connection begins with `initialize` and carries `Mcp-Session-Id` from then on. */
  readonly session: boolean
  readonly tool: string
  /** Whether calls carry a progress token, so that the tool has something to stream. */
  readonly progress: boolean
  readonly key?: string
}

/** A call as bytes, of which only the ten digits at `idAt` change from one call to the next. */
export interface CallBytes {
  readonly bytes: Buffer
  readonly idAt: number
  /** What must be in the answer: the text, as JSON text has it. */
  readonly text: Buffer
}

/** Ids have ten digits, so that the length of a request never changes. */
export const firstId = 1_000_000_000

const client = { name: 'merlon-bench', version: '1.0.0' }

function envelope(revision: Target['revision'], extra: Record<string, unknown> = {}): Record<string, unknown> {
  if (revision === '2025-11-25') return extra
  return {
    ...extra,
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientInfo': client,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
}

function http(target: Target, verb: string, headers: Record<string, string>, body: string): Buffer {
  const all: Record<string, string> = {
    Host: `127.0.0.1:${target.port}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
    ...(target.key === undefined ? {} : { Authorization: `Bearer ${target.key}` }),
    ...headers,
    ...(verb === 'POST' ? { 'Content-Length': String(Buffer.byteLength(body)) } : {}),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${verb} ${target.path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/** Opens a session (2025-11-25 lifecycle). */
export function initializeBytes(target: Target): Buffer {
  const params = { protocolVersion: target.revision, capabilities: {}, clientInfo: client }
  return http(target, 'POST', {}, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }))
}

function sessionHeaders(target: Target, session: string): Record<string, string> {
  return { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': target.revision }
}

export function initializedBytes(target: Target, session: string): Buffer {
  const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return http(target, 'POST', sessionHeaders(target, session), body)
}

/** Ends a session, so that what one measurement leaves behind is not what the next one measures. */
export function deleteBytes(target: Target, session: string): Buffer {
  return http(target, 'DELETE', sessionHeaders(target, session), '')
}

/** Opens a stream that stays open: GET in a session, `subscriptions/listen` in 2026-07-28. */
export function streamBytes(target: Target, session: string | undefined): Buffer {
  if (session !== undefined) {
    return http(target, 'GET', { ...sessionHeaders(target, session), Accept: 'text/event-stream' }, '')
  }
  const params = { _meta: envelope(target.revision), notifications: { toolsListChanged: true } }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params })
  return http(target, 'POST', { 'MCP-Protocol-Version': target.revision, 'Mcp-Method': 'subscriptions/listen' }, body)
}

/** Goes on with a stream after the event of this id. */
export function resumeBytes(target: Target, session: string, lastEventId: string): Buffer {
  const headers = { ...sessionHeaders(target, session), Accept: 'text/event-stream', 'Last-Event-ID': lastEventId }
  return http(target, 'GET', headers, '')
}

/** One `tools/call`. `text` has no character that JSON escapes. */
export function callBytes(target: Target, session: string | undefined, text: string): CallBytes {
  const meta = envelope(target.revision, target.progress ? { progressToken: text.slice(0, 8) } : {})
  const params = {
    name: target.tool,
    arguments: { text },
    ...(Object.keys(meta).length === 0 ? {} : { _meta: meta }),
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: firstId, method: 'tools/call', params })
  const headers =
    session !== undefined
      ? sessionHeaders(target, session)
      : target.revision === '2026-07-28'
        ? { 'MCP-Protocol-Version': target.revision, 'Mcp-Method': 'tools/call', 'Mcp-Name': target.tool }
        : { 'MCP-Protocol-Version': target.revision }
  const bytes = http(target, 'POST', headers, body)
  return { bytes, idAt: bytes.indexOf(`"id":${firstId}`) + 5, text: Buffer.from(text) }
}

/** Writes `id`, a number of ten digits, over the id in `bytes`. */
export function writeId(bytes: Buffer, at: number, id: number): void {
  for (let digit = 9; digit >= 0; digit--) {
    bytes[at + digit] = 48 + (id % 10)
    id = Math.floor(id / 10)
  }
}
