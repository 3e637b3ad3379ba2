import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { type Answer, Connection } from '../attack/connection.ts'
import { encode, initialize, message, type Params, type Request } from '../attack/request.ts'
import { ReplicaProcess } from '../chaos/replica-process.ts'

/** Several built servers on one database, and a key that is good at all of them. */
export interface Cluster {
  readonly servers: readonly ReplicaProcess[]
  readonly key: string
  close(): Promise<void>
}

export async function startCluster(
  count: number,
  env: Readonly<Record<string, string>>,
  change: Partial<ConfigInput> = {},
): Promise<Cluster> {
  const config: ConfigInput = {
    name: 'client-test',
    // Behind a balancer they have one address; tests and balancers go to each by its own.
    server: { port: 0, publicUrl: 'http://localhost:9', ...change.server },
    admin: { port: 0 },
    catalog: { folder: join(import.meta.dirname, '../client/project/src') },
    store: { databaseUrl: 'env:DATABASE_URL', ...('REDIS_URL' in env ? { redisUrl: 'env:REDIS_URL' } : {}) },
    log: { level: 'error' },
    rateLimit: { callsMax: 1_000_000, failuresMax: 1_000_000, rules: [] },
    limits: { eventLoopDelayMsMax: 30_000 },
  }
  const servers: ReplicaProcess[] = []
  const close = async () => void (await Promise.all(servers.map((server) => server.close())))
  try {
    const shared = { ENCRYPTION_KEY: randomBytes(32).toString('hex'), ...env }
    for (let at = 0; at < count; at++) servers.push(await ReplicaProcess.start(config, shared))
    const { control } = servers[0]!
    const user = await control.call('users.create', { body: { name: 'person', role: 'user' } })
    const { id: owner } = user.body as { id: string }
    const made = await control.call('api-keys.create', { body: { name: 'laptop', scopes: ['read', 'write'], owner } })
    return { servers, key: (made.body as { key: string }).key, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Sends a request to a server, on a connection of its own, and gives that back at once. */
export async function begin(server: ReplicaProcess, request: Request, key: string): Promise<Connection> {
  const connection = await Connection.open(server.port)
  connection.write(encode(request, { host: `127.0.0.1:${server.port}`, key }), request.verb ?? 'POST')
  return connection
}

/** Sends a request and waits for all of its answer. */
export async function ask(server: ReplicaProcess, request: Request, key: string): Promise<Answer> {
  const connection = await begin(server, request, key)
  const answer = await connection.answer()
  connection.destroy()
  if (answer === undefined) throw new Error('the connection closed without an answer')
  return answer
}

export async function openSession(server: ReplicaProcess, key: string, capabilities: Params = {}): Promise<string> {
  const answer = await ask(server, initialize(undefined, { capabilities }), key)
  const session = answer.header('mcp-session-id')
  if (session === undefined) throw new Error(`no session: ${answer.status} ${answer.text}`)
  return session
}

/** The session's own stream, or the stream that the event belongs to. */
export function streamOf(session: string, lastEventId?: string): Request {
  return {
    verb: 'GET',
    headers: { 'Mcp-Session-Id': session, ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }) },
  }
}

/** A call of a tool in a session. */
export function callIn(session: string, name: string, args: Params, id: number, progressToken?: string): Request {
  const meta = progressToken === undefined ? {} : { _meta: { progressToken } }
  return message('tools/call', { name, arguments: args, ...meta }, { session, id })
}

/** The client's answer to a question. */
export function answerIn(session: string, id: string | number, result: Params): Request {
  return { headers: { 'Mcp-Session-Id': session }, body: JSON.stringify({ jsonrpc: '2.0', id, result }) }
}

/** The messages that came with a method, decoded. */
export function withMethod(connection: Connection, method: string): readonly { readonly [key: string]: unknown }[] {
  const { messages } = connection.answers[0] ?? { messages: [] }
  return messages.map(({ data }) => JSON.parse(data) as { method?: string }).filter((each) => each.method === method)
}
