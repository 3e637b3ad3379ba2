import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { openServer, type Server } from 'merlon'

const project = join(import.meta.dirname, '../client/project')

/** The log of a server, line by line. */
export interface Told {
  readonly level: 'info' | 'warn' | 'error'
  readonly text: string
}

/**
 * A server over a data folder in `folder`, with a certificate at `cert.pem` and `key.pem` there. `clock` sets its clock
 * forward.
 */
export function openTls(
  folder: string,
  env: Record<string, string> = {},
  { told = [], config, clock }: { told?: Told[]; config?: object; clock?: { offset: number } } = {},
): Promise<Server> {
  const tell = (level: Told['level']) => (_fields: object, text: string) => void told.push({ level, text })
  if (config !== undefined) {
    const catalog = { folder: join(project, 'src') }
    writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify({ catalog, ...config }), { mode: 0o600 })
  }
  return openServer({
    project: config === undefined ? project : folder,
    ...(clock && { clock: () => Date.now() + clock.offset }),
    env: {
      MERLON_SERVER_PORT: '0',
      MERLON_STORE_FOLDER: join(folder, 'data'),
      SSL_CERT_PATH: join(folder, 'cert.pem'),
      SSL_KEY_PATH: join(folder, 'key.pem'),
      ...env,
    },
    log: { info: tell('info'), warn: tell('warn'), error: tell('error') },
  })
}

export const portOf = (url: string | undefined): number => Number(new URL(url ?? '').port)

/** The fingerprint of the certificate that a new connection is shown. */
export async function fingerprint(port: number): Promise<string> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

/** What comes back for one request, or the code of the error that there is instead. */
export function ask(
  port: number,
  path: string,
  options: RequestOptions & { body?: string } = {},
): Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]>; text: string } | string> {
  const { body, ...rest } = options
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false, ...rest })
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    asked.on('response', (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    asked.end(body)
  })
}

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

/** A call of the stateless revision: what `ask` sends. */
export function callOf(method: string, params: object, credential: string, scheme = 'Bearer') {
  return {
    method: 'POST',
    headers: {
      Authorization: `${scheme} ${credential}`,
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      'MCP-Protocol-Version': '2026-07-28',
      'Mcp-Method': method,
      ...('name' in params ? { 'Mcp-Name': String(params.name) } : {}),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  }
}

/** A program of the system, and all that it printed. */
export async function run(
  command: string,
  args: readonly string[],
  input = '',
): Promise<{ code: number; text: string }> {
  const child: ChildProcess = spawn(command, args, { stdio: 'pipe' })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (piece) => (text += piece))
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? -1, text }
}
