/** What a server answered: the HTTP status, its headers, and the JSON of the body. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

const version = '2026-07-28'

/** Sends one MCP request of revision 2026-07-28, which needs no session. */
export async function ask(
  url: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
  { headers = {}, capabilities = {} }: { headers?: Record<string, string>; capabilities?: object } = {},
): Promise<Answer> {
  const name = params['name'] ?? params['uri']
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': version,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': version,
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1.0.0' },
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    }),
  })
  const body: Record<string, unknown> = JSON.parse((await response.text()) || '{}')
  return { status: response.status, headers: response.headers, body }
}

/** The result of an answer that has one. */
export function resultOf({ status, body }: Answer): Record<string, unknown> {
  const { result } = body
  if (status !== 200 || typeof result !== 'object' || result === null)
    throw new Error(`no result: ${status} ${JSON.stringify(body)}`)
  return { ...result }
}

/** The text of a tool's first block. */
export function textOf(answer: Answer): string {
  const { content } = resultOf(answer)
  const first: unknown = Array.isArray(content) ? content[0] : undefined
  if (typeof first === 'object' && first !== null && 'text' in first && typeof first.text === 'string')
    return first.text
  throw new Error(`no text: ${JSON.stringify(content)}`)
}

/** The word for a refusal, from a plain answer or from a JSON-RPC error. */
export function codeOf({ body }: Answer): unknown {
  const { error } = body
  const data = typeof error === 'object' && error !== null && 'data' in error ? error.data : body
  return typeof data === 'object' && data !== null && 'code' in data ? data.code : undefined
}
