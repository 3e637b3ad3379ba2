import type { Answer, Connection } from '../attack/connection.ts'
import type { Client, History, ModelSession } from './history.ts'
import { ModelStream, Reader, Violation } from './stream.ts'

const patienceMs = 30_000
/** Longer than a change takes from one server to another. */
const underwayMs = 30_000
/** Somebody has come back with a later event since. */
const superseded = 'EVENT_SUPERSEDED'

/** Sends a GET until it is not refused because a reader that left is not yet missed. */
async function read(
  history: History,
  at: number,
  session: ModelSession,
  lastEventId: string | undefined,
): Promise<{ connection: Connection; answer: Answer }> {
  const until = Date.now() + patienceMs
  for (;;) {
    const connection = await history.send(at, history.stream(session, lastEventId), session.client.key.text)
    const answer = await connection.begun()
    if (answer.status !== 409 || Date.now() > until) return { connection, answer }
    // The answer that nothing changes.
    if ((await connection.answer())?.code === superseded) return { connection, answer }
    connection.destroy()
    await new Promise((later) => setTimeout(later, 5))
  }
}

/** Goes on with a stream at one of the servers, from what the client has, or from a place before that. */
export async function resume(
  history: History,
  at: number,
  session: ModelSession,
  stream: ModelStream,
  back: number,
): Promise<void> {
  const from = Math.max(0, stream.seen - back)
  const id = stream.idAt(from)
  if (id === undefined) return
  history.counts.resumes++
  if (at !== stream.at) history.counts.moves++
  const good = history.statusFor(session.client, session, 200)
  if (good !== 200) {
    await history.ask(at, history.stream(session, id), session.client.key.text, [good])
    return
  }
  if (stream.readerIsOpen) {
    // Another server would wait a while for the reader to leave: it is asked now and then.
    const where = history.counts.resumes % 16 === 0 ? at : stream.reader!.at
    await history.ask(where, history.stream(session, id), session.client.key.text, [409])
    return
  }
  const lost = history.lostFrom(session, stream, from)
  const { connection, answer } = await read(history, at, session, id)
  const movedOn = from < stream.named ? [409] : []
  const here = from < stream.cursor || lost === 'yes' ? [] : [200]
  const allowed = [...here, ...movedOn, ...(lost === 'no' ? [] : [410])]
  stream.named = Math.max(stream.named, from)
  history.expect(answer, allowed, `resume ${stream.label} after ${from} of ${stream.said.length}`)
  if (answer.status !== 200) {
    if (answer.status === 410) history.counts.lost++
    connection.destroy()
    return
  }
  stream.reader = new Reader(connection, stream, at, from, history.ids)
  stream.cursor = Math.max(stream.cursor, from)
  // The session's own stream goes on wherever it is read.
  if (stream === session.own) goesOn(history, session, stream, at)
  if (stream.over) await stream.reader.ended()
  else await stream.reader.catchUp()
}

/** Several readers at once go on with a stream that nobody reads: one of them gets it. */
export async function race(
  history: History,
  at: number,
  session: ModelSession,
  stream: ModelStream,
  count: number,
): Promise<void> {
  const from = stream.seen
  const id = stream.idAt(from)
  const good = history.statusFor(session.client, session, 200)
  if (id === undefined || good !== 200 || stream.over || stream.readerIsOpen) return
  if (history.lostFrom(session, stream, from) !== 'no') return
  const until = Date.now() + patienceMs
  for (;;) {
    const request = history.stream(session, id)
    const places = Array.from({ length: count }, (_, each) => (at + each) % history.world.replicas.length)
    const sent = await Promise.all(places.map((place) => history.send(place, request, session.client.key.text)))
    const answers = await Promise.all(sent.map((each) => each.begun()))
    for (const each of answers) history.expect(each, [200, 409], `one of ${count} readers of ${stream.label}`)
    const won = [...sent.keys()].filter((each) => answers[each]!.status === 200)
    for (const [each, connection] of sent.entries()) if (!won.includes(each)) connection.destroy()
    if (won.length > 1) throw new Violation(`${won.length} of ${count} readers got ${stream.label}`)
    const [winner] = won
    if (winner !== undefined) {
      const place = places[winner]!
      stream.reader = new Reader(sent[winner]!, stream, place, from, history.ids)
      if (stream === session.own) goesOn(history, session, stream, place)
      stream.cursor = Math.max(stream.cursor, from)
      stream.named = Math.max(stream.named, from)
      await stream.reader.catchUp()
      return
    }
    if (Date.now() > until) throw new Violation(`none of ${count} readers gets ${stream.label}`)
  }
}

/**
 * The session's own stream is read again, at this server. Of servers that share a store this one tells what another had not,
 * by what the client is subscribed to now.
 */
function goesOn(history: History, session: ModelSession, own: ModelStream, at: number, since = 0): void {
  Object.assign(own, { over: false, at })
  if (history.world.replicas.length === 1) return
  for (const change of session.unheard.splice(0)) {
    if (change.at <= since) continue
    if (!session.subscribed.has(change.uri)) session.unheard.push(change)
    else
      own.said.push({
        ...{ key: `update ${change.uri}`, at: history.now, order: session.appended },
        ...{ certain: false, optional: true },
      })
  }
}

/** Opens the session's own stream anew: it carries what comes from now on. */
export async function openOwn(history: History, at: number, client: Client, session: ModelSession): Promise<void> {
  const good = history.statusFor(client, session, 200)
  const taken = session.own?.readerIsOpen === true
  if (good !== 200 || taken) {
    await history.ask(at, history.stream(session), client.key.text, [good === 200 ? 409 : good])
    return
  }
  const { connection, answer } = await read(history, at, session, undefined)
  history.expect(answer, [200], `the stream of ${session.label}`)
  const first = session.own === undefined
  session.own ??= new ModelStream(`${session.label}/own`, undefined)
  const { own } = session
  // What nobody asked for again is not missed; whoever comes back with an older event gets it.
  own.seen = own.said.length
  own.reader = new Reader(connection, own, at, own.said.length, history.ids)
  // What was announced before it was first opened is no news, but for what is on its way here.
  goesOn(history, session, own, at, first ? Date.now() - underwayMs : 0)
  if (session.version === '2025-11-25') {
    own.empties.push({ at: history.now, order: session.appended++ })
    await connection.until(() => {
      own.reader?.take()
      return own.primes.has(own.seen) || own.idAt(own.seen) !== undefined
    }, 'the id of a new stream')
  }
}

/** Tells all sessions that asked for it that a thing has changed. */
export async function announce(
  history: History,
  at: number,
  client: Client,
  session: ModelSession,
  uri: string,
): Promise<void> {
  const status = history.statusFor(client, session, 200)
  const concerned = history.sessions.filter((each) => !each.over && !each.client.revoked && each.subscribed.has(uri))
  const told = status === 200 ? concerned.filter(({ own }) => own?.over === false) : []
  if (status === 200)
    for (const each of history.sessions) if (!told.includes(each)) each.unheard.push({ uri, at: Date.now() })
  for (const each of told) history.note(each, each.own!, `update ${uri}`)
  const call = history.in(session, 'tools/call', { name: 'announce', arguments: { uri } }, 'announce')
  await history.ask(at, call, client.key.text, [status])
  for (const { own } of told) if (own!.readerIsOpen) await own!.reader!.catchUp()
}

export async function subscribe(
  history: History,
  at: number,
  client: Client,
  session: ModelSession,
  uri: string,
): Promise<void> {
  const status = history.statusFor(client, session, 200)
  await history.ask(at, history.in(session, 'resources/subscribe', { uri }, 'sub'), client.key.text, [status])
  if (status === 200) session.subscribed.add(uri)
}

/** Answers a question of a call. It counts once, from its session alone. */
export async function answer(
  history: History,
  at: number,
  client: Client,
  session: ModelSession,
  stream: ModelStream,
  which: number,
): Promise<void> {
  const id = stream.questions[which % Math.max(1, stream.questions.length)]
  if (id === undefined || stream.puppet === undefined) return
  const color = `${client.label}-${history.counts.requests}`
  const body = JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept', content: { color } } })
  const status = history.statusFor(client, session, 202)
  const { puppet } = stream
  const before = puppet.answers.length
  const open = status === 202 && !stream.over && !stream.answered.has(id)
  await history.ask(at, { headers: { 'Mcp-Session-Id': session.id }, body }, client.key.text, [status])
  if (!open) return
  stream.answered.add(id)
  await puppet.until(() => puppet.answers.length > before)
  if (puppet.answers.at(-1) !== color) throw new Violation(`${stream.label} got ${puppet.answers.at(-1)} for ${color}`)
}
