/** The first key and where to use it. */
export interface FirstStart {
  readonly key: string
  /** When the key ends, in ms since the epoch. */
  readonly expiresAt: number
}

const revision = '2026-07-28'

/** A call that a person can paste into a shell: it lists the tools, on the newest revision. */
export function curlLine(endpoint: string, key: string): string {
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/list',
    params: {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': revision,
        'io.modelcontextprotocol/clientInfo': { name: 'curl', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  }
  return [
    `curl -s ${endpoint}`,
    `-H 'Authorization: Bearer ${key}'`,
    `-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'`,
    `-H 'MCP-Protocol-Version: ${revision}' -H 'Mcp-Method: tools/list'`,
    `-d '${JSON.stringify(body)}'`,
  ].join(' \\\n  ')
}

/** What an MCP client wants to know, in the form that most of them read. */
export function clientSettings(name: string, endpoint: string, key: string): string {
  const server = { type: 'http', url: endpoint, headers: { Authorization: `Bearer ${key}` } }
  return JSON.stringify({ mcpServers: { [name]: server } }, null, 2)
}

export interface FirstStartPlaces {
  /** The name under which a client lists the server. */
  readonly name: string
  /** Where this machine reaches it. */
  readonly local: string
  /** Where clients reach it. */
  readonly endpoint: string
  /** The command that makes a key for this project. */
  readonly command: string
  /** The command that makes its first operator. */
  readonly operatorCommand: string
}

/** Shown once, at the first start: the key, a call to try, and what to give to a client. */
export function firstStartText(
  { name, local, endpoint, command, operatorCommand }: FirstStartPlaces,
  { key, expiresAt }: FirstStart,
): string {
  return [
    `The first start made a key. It is shown this once, and ends at ${new Date(expiresAt).toISOString()}:`,
    '',
    `  ${key}`,
    '',
    'Try it:',
    '',
    curlLine(local, key),
    '',
    'Give it to an MCP client:',
    '',
    clientSettings(name, endpoint, key),
    '',
    `Make one that lasts: ${command}`,
    `Make yourself the operator who manages users, keys and the rest: ${operatorCommand}`,
  ].join('\n')
}
