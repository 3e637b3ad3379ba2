import { type Answer, Connection } from '../attack/connection.ts'
import { encode, initialize, message, type Params, type Request } from '../attack/request.ts'
import type { Puppets } from './puppets.ts'
import { ModelStream, Reader, type Said, Violation } from './stream.ts'
import { bounds, type Tenant, type World } from './world.ts'

/** Somebody with a key of their own. */
export interface Client {
  readonly label: string
  readonly tenant: Tenant
  readonly key: { readonly id: string; readonly text: string }
  revoked: boolean
}

export interface ModelSession {
  readonly label: string
  readonly id: string
  readonly client: Client
  readonly version: string
  over: boolean
  /** Messages that were said in it, those that carry nothing included. */
  appended: number
  readonly subscribed: Set<string>
  /** What was announced and not told to it, and when. */
  readonly unheard: { readonly uri: string; readonly at: number }[]
  readonly streams: ModelStream[]
  /** The stream that answers no request, once it was opened. */
  own: ModelStream | undefined
}

export interface Counts {
  commands: number
  requests: number
  refusals: number
  events: number
  resumes: number
  lost: number
  moves: number
  kills: number
}

export const noCounts = (): Counts => ({
  commands: 0,
  requests: 0,
  refusals: 0,
  events: 0,
  resumes: 0,
  lost: 0,
  moves: 0,
  kills: 0,
})

/** How exactly it is known where the history of a session begins: streams that speak at once are kept in an order of their own. */
const fuzz = 15
const settleMs = 10_000

/** One history: what the clients have done, what the servers must therefore answer, and the servers. */
export class History {
  readonly world: World
  readonly puppets: Puppets
  readonly clients: readonly Client[]
  readonly sessions: ModelSession[] = []
  readonly counts: Counts
  readonly ids = new Set<string>()
  /** How far the clocks were set forward. */
  #offset = 0
  #connections = new Set<Connection>()
  readonly #name: string

  private constructor(world: World, puppets: Puppets, clients: readonly Client[], counts: Counts, name: string) {
    this.world = world
    this.puppets = puppets
    this.clients = clients
    this.counts = counts
    this.#name = name
  }

  /** `keys`: those that the history before left, by the label of their client. */
  static async begin(parts: {
    readonly world: World
    readonly puppets: Puppets
    readonly counts: Counts
    readonly name: string
    readonly keys: Map<string, Client['key']>
  }): Promise<History> {
    const { world, puppets, counts, name, keys } = parts
    const clients: Client[] = []
    for (const [label, tenant] of [
      ['one', 'model-a'],
      ['two', 'model-a'],
      ['other', 'model-b'],
    ] as const) {
      const key = keys.get(label) ?? (await makeKey(world, tenant, `${name}-${label}`))
      keys.set(label, key)
      clients.push({ label, tenant, key, revoked: false })
    }
    return new History(world, puppets, clients, counts, name)
  }

  get now(): number {
    return Date.now() + this.#offset
  }

  /** Sends a request with this key, or none, to one of the servers. */
  async send(at: number, request: Request, key: string | undefined): Promise<Connection> {
    const replica = this.world.replicas[at]!
    const connection = await Connection.open(replica.port)
    this.#connections.add(connection)
    this.counts.requests++
    connection.write(encode(request, { host: `127.0.0.1:${replica.port}`, key }), request.verb ?? 'POST')
    return connection
  }

  /** Sends it and waits for the whole answer, which must have one of these statuses. */
  async ask(at: number, request: Request, key: string | undefined, statuses: readonly number[]): Promise<Answer> {
    const connection = await this.send(at, request, key)
    const answer = await connection.answer()
    connection.destroy()
    if (answer === undefined) throw new Violation(`no answer to ${request.verb ?? 'POST'} ${request.body}`)
    this.expect(answer, statuses, `${request.verb ?? 'POST'} ${request.body}`)
    return answer
  }

  expect(answer: Answer, statuses: readonly number[], what: string): void {
    if (answer.status >= 400) this.counts.refusals++
    if (statuses.includes(answer.status)) return
    throw new Violation(`${what} must be answered with ${statuses.join(' or ')}: ${answer.status} ${answer.text}`)
  }

  /** What a request in the session must be answered with, beside `good`. */
  statusFor(client: Client, session: ModelSession, good: number): number {
    if (client.revoked) return 401
    return session.over || session.client !== client ? 404 : good
  }

  in(session: ModelSession, method: string, params: Params | undefined, id?: unknown): Request {
    return message(method, params, { session: session.id, ...(id === undefined ? {} : { id }) })
  }

  stream(session: ModelSession, lastEventId?: string): Request {
    const last = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }
    return { verb: 'GET', headers: { 'Mcp-Session-Id': session.id, ...last } }
  }

  async open(at: number, client: Client, version: string): Promise<void> {
    const held = this.sessions.filter((each) => each.client === client && !each.over).length
    const status = client.revoked ? 401 : held >= bounds.sessionsMax ? 503 : 200
    const request = initialize(undefined, { version, capabilities: { elicitation: {} } })
    const answer = await this.ask(at, request, client.key.text, [status])
    if (status !== 200) return
    const id = answer.header('mcp-session-id')
    if (id === undefined || this.sessions.some((each) => each.id === id))
      throw new Violation(`the id of a new session is ${id}`)
    const label = `${this.#name}/${client.label}${this.sessions.length}`
    this.sessions.push({
      ...{
        label,
        id,
        client,
        version,
        over: false,
        appended: 0,
        subscribed: new Set(),
        unheard: [],
        streams: [],
        own: undefined,
      },
    })
    await this.ask(at, this.in(this.sessions.at(-1)!, 'notifications/initialized', undefined), client.key.text, [202])
  }

  /** A plain call: it is answered to whoever may, with their own text. */
  async echo(at: number, client: Client, session: ModelSession): Promise<void> {
    const text = `${client.label} in ${session.label} at ${this.counts.requests}`
    const request = this.in(session, 'tools/call', { name: 'echo', arguments: { text } }, 3)
    const status = this.statusFor(client, session, 200)
    const answer = await this.ask(at, request, client.key.text, [status])
    if (status === 200 && (answer.said !== text || answer.message.id !== 3))
      throw new Violation(`${text} was answered with ${answer.text}`)
  }

  /** Begins a call whose tool says what it is told to, on a stream. */
  async start(at: number, client: Client, session: ModelSession, requestId: number): Promise<void> {
    const label = `${session.label}/${session.streams.length}`
    const params = { name: 'puppet', arguments: { label }, _meta: { progressToken: `token-${requestId}` } }
    const good = this.statusFor(client, session, 200)
    const twin = session.streams.find((each) => each.requestId === requestId && !each.over)
    // An id that is being answered is known where it is: elsewhere it may or may not be.
    const mustRun = good === 200 && twin === undefined
    const mayRun = mustRun || (good === 200 && twin?.at !== at)
    const connection = await this.send(at, this.in(session, 'tools/call', params, requestId), client.key.text)
    const asked = new AbortController()
    const refused = connection.answer().then(() => undefined)
    refused.catch(() => undefined)
    const puppet = await Promise.race([this.puppets.find(label, asked.signal), refused])
    asked.abort()
    if (puppet !== undefined) {
      if (!mayRun) throw new Violation(`${label} runs, and must be answered with ${good === 200 ? 400 : good}`)
      const stream = new ModelStream(label, requestId)
      Object.assign(stream, { puppet, at })
      stream.reader = new Reader(connection, stream, at, 0, this.ids)
      session.streams.push(stream)
      return
    }
    const [answer] = connection.answers
    connection.destroy()
    if (answer === undefined) throw new Violation(`${label} was not answered`)
    this.expect(answer, mustRun ? [200] : [good === 200 ? 400 : good], label)
  }

  /** Notes what a stream is going to say. */
  note(session: ModelSession, stream: ModelStream, key: string): void {
    const primes = stream.requestId !== undefined && stream.said.length === 0 && session.version === '2025-11-25'
    if (primes) session.appended++
    stream.said.push({ key, at: this.now, order: session.appended++, certain: true })
    this.counts.events++
  }

  /** Has the tool say so many things. Where the reader leaves, it does so once `leaveAfter` of them have come. */
  async say(session: ModelSession, stream: ModelStream, count: number, leaveAfter?: number): Promise<void> {
    const texts = Array.from({ length: count }, (_, at) => `${stream.label}#${stream.said.length + at}`)
    for (const text of texts) this.note(session, stream, `say ${text}`)
    const { reader } = stream
    const said = stream.puppet!.carryOut({ act: 'say', texts })
    if (leaveAfter !== undefined && reader !== undefined && stream.readerIsOpen) {
      const enough = stream.said.length - count + Math.min(leaveAfter, count)
      await reader.connection.until(() => {
        reader.take()
        return reader.done || reader.next >= enough
      }, 'a part of what is said')
      this.lose(stream)
    }
    await said
    if (stream.readerIsOpen) await stream.reader!.catchUp()
  }

  async finish(session: ModelSession, stream: ModelStream): Promise<void> {
    const text = `${stream.label} is finished`
    this.note(session, stream, `result ${text}`)
    stream.over = true
    await stream.puppet!.carryOut({ act: 'finish', text })
    if (stream.readerIsOpen) await stream.reader!.ended()
  }

  /** The client leaves a stream, with what it has. */
  lose(stream: ModelStream): void {
    const { reader } = stream
    reader?.take()
    reader?.connection.destroy()
    stream.reader = undefined
  }

  /** Whether the history from here on is gone: for sure, for sure not, or perhaps. */
  lostFrom(session: ModelSession, stream: ModelStream, from: number): 'yes' | 'no' | 'perhaps' {
    const isOver = ({ at, order }: Pick<Said, 'at' | 'order'>, margin: number) =>
      this.now - at >= bounds.historyMs - margin * 1_000 || session.appended - order > bounds.eventsMax - margin
    const first = stream.said[from]
    // A change that was told at another server is kept when it comes to the one that holds the stream.
    const later = stream.requestId === undefined && this.world.replicas.length > 1
    if (first !== undefined && isOver(first, -fuzz)) return later || !first.certain ? 'perhaps' : 'yes'
    // Of a stream that has ended nothing need be known once all of it is too old.
    const last = stream.over ? stream.said.at(-1) : undefined
    const perhaps = [first, last, ...stream.empties].some((each) => each !== undefined && isOver(each, fuzz))
    return perhaps ? 'perhaps' : 'no'
  }

  /** Leaves nothing behind, however it went. A key that was taken back, or may still hold something, is not used again. */
  async close(well: boolean, keys: Map<string, Client['key']>): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    const { control } = this.world.replicas[0]!
    for (const { key, label, revoked } of this.clients) {
      if (well && !revoked) continue
      await control.call('api-keys.revoke', { params: { id: key.id } })
      keys.delete(label)
    }
  }

  advance(ms: number): void {
    this.world.advance?.(ms)
    this.#offset += ms
  }

  /**
   * Asks again until what was ended is refused everywhere: it must be at once where it was ended. Of a key that was taken
   * back another server may know first that its sessions are over.
   */
  async refusedEverywhere(at: number, session: ModelSession, status: number): Promise<void> {
    const ping = this.in(session, 'ping', {}, 'ping')
    const { text } = session.client.key
    await this.ask(at, ping, text, [status])
    for (const each of this.world.replicas.keys()) {
      const until = Date.now() + settleMs
      while ((await this.ask(each, ping, text, Date.now() < until ? [200, 404, status] : [status])).status !== status)
        await new Promise((later) => setTimeout(later, 20))
    }
  }
}

async function makeKey(world: World, tenant: Tenant, name: string): Promise<Client['key']> {
  const body = { tenant, user: 'person', name, scopes: ['read', 'write'] }
  const { body: made } = await world.replicas[0]!.control.call('api-keys.create', { body })
  const { id, key: text } = made as { id: string; key: string }
  return { id, text }
}
