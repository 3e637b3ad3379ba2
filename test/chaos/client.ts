import { type Answer, Connection } from '../attack/connection.ts'
import { encode, initialize, message, type Params, type Request } from '../attack/request.ts'
import type { Ledger } from './ledger.ts'

/** The longest that an answer may take while parts of the system are down. */
const patienceMs = 30_000
/** Told that what is asked cannot be done now: come back later. */
const later: ReadonlySet<number> = new Set([503, 504])

/** The whole system, as its clients reach it: one address. */
export interface Address {
  readonly port: number
}

export async function begin(
  address: Address,
  request: Request,
  key: string | undefined,
): Promise<Connection | undefined> {
  try {
    const connection = await Connection.open(address.port)
    connection.write(encode(request, { host: `127.0.0.1:${address.port}`, key }), request.verb ?? 'POST')
    return connection
  } catch {
    return undefined
  }
}

/** Sends a request and waits for its whole answer; undefined where there was none. */
export async function ask(
  address: Address,
  request: Request,
  key: string | undefined,
  ledger: Ledger,
): Promise<Answer | undefined> {
  const connection = await begin(address, request, key)
  if (connection === undefined) return undefined
  try {
    await connection.until(() => connection.answers[0]?.complete === true || connection.closed, 'an answer', patienceMs)
  } catch {
    ledger.violation(`no answer within ${patienceMs} ms: ${request.verb ?? 'POST'} ${request.body}`)
  }
  connection.destroy()
  const [answer] = connection.answers
  return answer?.complete === true ? answer : undefined
}

/** The same, for what must go well in the end: asked again until it is answered and not put off. */
export async function insist(
  address: Address,
  request: Request,
  key: string | undefined,
  ledger: Ledger,
): Promise<Answer | undefined> {
  const until = performance.now() + 2 * patienceMs
  while (performance.now() < until) {
    const answer = await ask(address, request, key, ledger)
    // An outage that comes after the guards is told inside the answer.
    if (answer !== undefined && !later.has(answer.status) && answer.code !== 'STORE_UNAVAILABLE') return answer
    ledger.note(answer === undefined ? 'asked again, no answer' : `asked again, ${answer.status}`)
    await new Promise((waited) => setTimeout(waited, 50))
  }
  ledger.violation(`asked for ${2 * patienceMs} ms in vain: ${request.verb ?? 'POST'} ${request.body}`)
  return undefined
}

/** A session, as its client holds it. */
export interface ClientSession {
  readonly id: string
  readonly key: string
}

export async function openSession(address: Address, key: string, ledger: Ledger): Promise<ClientSession | undefined> {
  const answer = await insist(address, initialize(undefined, { capabilities: { elicitation: {} } }), key, ledger)
  const id = answer?.header('mcp-session-id')
  if (answer === undefined || answer.status !== 200 || id === undefined) {
    ledger.violation(`no session was opened: ${answer?.status} ${answer?.text}`)
    return undefined
  }
  ledger.sessions++
  return { id, key }
}

export function inSession(
  { id: session }: ClientSession,
  method: string,
  params: Params | undefined,
  id?: unknown,
): Request {
  return message(method, params, { session, ...(id === undefined ? {} : { id }) })
}

export function streamOf({ id }: ClientSession, lastEventId?: string): Request {
  const last = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }
  return { verb: 'GET', headers: { 'Mcp-Session-Id': id, ...last } }
}
