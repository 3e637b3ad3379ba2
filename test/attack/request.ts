import { encodeHeaderValue } from '../../packages/merlon/src/wire/header-value.ts'

/** Whoever may show a key: the tenant before the dot. `limited` has a role that reaches more than the key does. */
export const people = [
  'A.read',
  'A.write',
  'A.admin',
  'A.limited',
  'A.clerk',
  'A.none',
  'A.honest',
  'B.read',
  'B.write',
  'B.admin',
] as const
export type Person = (typeof people)[number]

/** One HTTP request, as far as it differs from the usual one: a POST to the endpoint with all that it needs. */
export interface Request {
  /** Whose key to show. Default: none. */
  readonly as?: Person | undefined
  readonly verb?: string
  readonly path?: string
  readonly body?: string | Buffer
  /** Over the usual headers. `null` leaves one out; a list sends it on several lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  /** Sends the body in chunks, without a length. */
  readonly chunked?: boolean
}

export type Params = Readonly<Record<string, unknown>>

export const modern = '2026-07-28'
export const legacy = '2025-11-25'

/** The bytes of a request. */
export function encode(request: Request, usual: { readonly host: string; readonly key: string | undefined }): Buffer {
  const { verb = 'POST', path = '/mcp', body = '', chunked = false } = request
  const payload = Buffer.from(body)
  const headers = new Map<string, readonly [name: string, values: readonly string[]]>()
  const set = (name: string, value: string | readonly string[] | null) => {
    if (value === null) headers.delete(name.toLowerCase())
    else headers.set(name.toLowerCase(), [name, typeof value === 'string' ? [value] : value])
  }
  set('Host', usual.host)
  if (usual.key !== undefined) set('Authorization', `Bearer ${usual.key}`)
  set('Accept', verb === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream')
  if (payload.length > 0) {
    set('Content-Type', 'application/json')
    if (chunked) set('Transfer-Encoding', 'chunked')
    else set('Content-Length', String(payload.length))
  }
  for (const [name, value] of Object.entries(request.headers ?? {})) set(name, value)
  const lines = [...headers.values()].flatMap(([name, values]) => values.map((value) => `${name}: ${value}\r\n`))
  const head = Buffer.from(`${verb} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
  if (!chunked) return Buffer.concat([head, payload])
  return Buffer.concat([head, Buffer.from(`${payload.length.toString(16)}\r\n`), payload, Buffer.from('\r\n0\r\n\r\n')])
}

interface Call {
  readonly as?: Person | undefined
  readonly id?: unknown
  readonly headers?: Request['headers']
}

/** A call of the stateless revision with the headers that mirror it. `meta` goes over what `_meta` usually holds. */
export function call(
  method: string,
  params: Params = {},
  options: Call & { readonly meta?: Params; readonly capabilities?: Params } = {},
): Request {
  const { as, id = 1, headers, meta, capabilities = {} } = options
  const name = params['name'] ?? params['uri']
  const mirrors = ['tools/call', 'prompts/get', 'resources/read'].includes(method) && typeof name === 'string'
  return {
    as,
    headers: {
      'MCP-Protocol-Version': modern,
      'Mcp-Method': method,
      ...(mirrors ? { 'Mcp-Name': encodeHeaderValue(name) } : {}),
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': modern,
          'io.modelcontextprotocol/clientInfo': { name: 'attack', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': capabilities,
          ...meta,
        },
      },
    }),
  }
}

/** A call of a tool in the stateless revision. */
export function tool(name: string, args: Params = {}, options: Parameters<typeof call>[2] = {}): Request {
  return call('tools/call', { name, arguments: args }, options)
}

/** A message of the stateful revisions. Without an id it is a notification. */
export function message(
  method: string,
  params: Params | undefined,
  options: Call & { readonly session?: string } = {},
): Request {
  const { as, id, session, headers } = options
  return {
    as,
    headers: { ...(session === undefined ? {} : { 'Mcp-Session-Id': session }), ...headers },
    body: JSON.stringify({
      jsonrpc: '2.0',
      ...(id === undefined ? {} : { id }),
      method,
      ...(params === undefined ? {} : { params }),
    }),
  }
}

export function initialize(
  as: Person | undefined,
  options: { readonly version?: string; readonly headers?: Request['headers']; readonly capabilities?: Params } = {},
): Request {
  const { version = legacy, headers, capabilities = {} } = options
  return message(
    'initialize',
    { protocolVersion: version, capabilities, clientInfo: { name: 'attack', version: '1' } },
    { as, id: 0, ...(headers === undefined ? {} : { headers }) },
  )
}
