import type { Connection, Message } from '../attack/connection.ts'
import type { Request } from '../attack/request.ts'
import { type Address, begin, type ClientSession, inSession, insist, openSession, streamOf } from './client.ts'
import type { Ledger, Run } from './ledger.ts'

/** The longest that a stream may say nothing while its client waits for it. */
const silenceMs = 45_000
/** The last word on a call whose server died. */
const orphaned = 'CALL_LOST'

/** One stream as its client puts it together over all its connections. */
export class Gathered {
  readonly label: string
  readonly texts: string[] = []
  lastId: string | undefined
  /** The last message: a result or an error. */
  end: Message | undefined
  readonly #ids = new Set<string>()
  readonly #ledger: Ledger

  constructor(label: string, ledger: Ledger) {
    this.label = label
    this.#ledger = ledger
  }

  /** Takes what a connection has brought from this event on; answers how many events there are. */
  take(connection: Connection, from: number, hear: (message: Message) => string | undefined): number {
    const events = connection.answers[0]?.events ?? []
    for (const { id, data } of events.slice(from)) {
      if (id !== undefined) {
        if (data !== '' && this.#ids.has(id)) {
          this.#ledger.twice++
          this.#ledger.violation(`${this.label}: the event ${id} came twice, as ${data}`)
        }
        this.#ids.add(id)
        this.lastId = id
      }
      if (data === '') continue
      this.#ledger.events++
      const message = JSON.parse(data) as Message
      if (this.end !== undefined) this.#ledger.violation(`${this.label}: ${data} came after its end`)
      const text = hear(message)
      if (text !== undefined) this.texts.push(text)
      else this.end = message
    }
    return events.length
  }
}

/** Follows one call to its end, whatever happens to the servers and to the connection. */
export async function follow(
  parts: {
    readonly address: Address
    readonly session: ClientSession
    readonly ledger: Ledger
    readonly stream: Gathered
    /** Breaks the connection by itself once it has so many events; the next time twice as many. */
    readonly breakAfter: number
  },
  request: Request,
  hear: (message: Message) => string | undefined,
): Promise<void> {
  const { address, session, ledger, stream } = parts
  let { breakAfter } = parts
  let lostAt = performance.now()
  let heardAt = lostAt
  let heardOf = 0
  for (let next = request; stream.end === undefined; ) {
    const connection = await begin(address, next, session.key)
    const resuming = next !== request
    const began = await arrived(connection)
    const status = began?.answers[0]?.status
    if (resuming && performance.now() - lostAt > silenceMs) {
      ledger.violation(`${stream.label} could not be taken up again for ${silenceMs} ms: ${status}`)
      connection?.destroy()
      return
    }
    if (began === undefined || status !== 200) {
      connection?.destroy()
      if (status !== undefined) ledger.note(`${resuming ? 'resume' : 'call'}, ${status}`)
      if (status !== undefined && ![409, 503, 504].includes(status)) {
        const { text } = began!.answers[0]!
        ledger.violation(`${stream.label} was ${resuming ? 'resumed' : 'called'} and answered with ${status} ${text}`)
        return
      }
      if (!resuming) {
        ledger.unanswered++
        return
      }
      await new Promise((waited) => setTimeout(waited, 25))
      continue
    }
    if (resuming) {
      ledger.resumes++
      ledger.resumeMs.push(performance.now() - lostAt)
    }
    if (!(await readOn(began, stream, hear, breakAfter))) {
      ledger.violation(`${stream.label} said nothing for ${silenceMs} ms after ${stream.texts.length} messages`)
      began.destroy()
      return
    }
    breakAfter *= 2
    began.destroy()
    if (stream.texts.length > heardOf) {
      heardAt = performance.now()
      heardOf = stream.texts.length
    } else if (stream.end === undefined && performance.now() - heardAt > silenceMs) {
      ledger.violation(`${stream.label} neither went on nor ended for ${silenceMs} ms after ${heardOf} messages`)
      return
    }
    if (stream.end === undefined) {
      lostAt = performance.now()
      if (stream.lastId === undefined) {
        // Nothing of it was ever seen: the call was not acknowledged.
        ledger.unanswered++
        return
      }
      next = streamOf(session, stream.lastId)
    }
  }
}

async function arrived(connection: Connection | undefined): Promise<Connection | undefined> {
  try {
    const head = () => connection?.answers[0] !== undefined || connection?.closed !== false
    await connection?.until(head, 'the head of an answer', silenceMs)
  } catch {
    return undefined
  }
  return connection?.answers[0] === undefined ? undefined : connection
}

/** Reads until the stream ends or breaks, or the client has enough; false where nothing comes for too long. */
async function readOn(
  connection: Connection,
  stream: Gathered,
  hear: (message: Message) => string | undefined,
  breakAfter: number,
): Promise<boolean> {
  let taken = 0
  for (;;) {
    const before = taken
    const answer = connection.answers[0]!
    if (answer.streams) taken = stream.take(connection, taken, hear)
    else if (answer.complete) {
      stream.end = answer.message
      return true
    }
    if (taken >= breakAfter || answer.complete || connection.closed || stream.end !== undefined) return true
    if (taken > before) continue
    try {
      await connection.until(
        () => (answer.streams && answer.events.length > taken) || answer.complete || connection.closed,
        'more of a stream',
        silenceMs,
      )
    } catch {
      return false
    }
  }
}

let made = 0

/** Calls that count aloud, one after another. Every number must come, once, and the answer after them. */
export async function countAloud(address: Address, key: string, ledger: Ledger, run: Run): Promise<void> {
  let session = await openSession(address, key, ledger)
  // The same ones in every session. A call that its client left may still be under way, so none is used twice in one.
  let id = 0
  while (run.goesOn && session !== undefined) {
    const label = `count-${++made}`
    const own = ++id
    const to = 20 + (made % 5) * 10
    const stream = new Gathered(label, ledger)
    ledger.streams++
    const params = { name: 'count', arguments: { label, to, everyMs: 30 }, _meta: { progressToken: label } }
    const breakAfter = made % 3 === 0 ? 3 + (made % 7) : Number.POSITIVE_INFINITY
    await follow(
      { address, session, ledger, stream, breakAfter },
      inSession(session, 'tools/call', params, own),
      (heard) =>
        heard.method === 'notifications/progress' && heard.params?.['progressToken'] === label
          ? heard.params.message
          : heard.id === own
            ? undefined
            : JSON.stringify(heard),
    )
    check(stream, to, ledger)
    if (made % 10 === 0) {
      const ended = await insist(address, { ...streamOf(session), verb: 'DELETE' }, key, ledger)
      // Asked again after an answer that was lost, it may be gone already.
      if (ended !== undefined && ![204, 404].includes(ended.status))
        ledger.violation(`${label}: ended with ${ended.status}`)
      session = await openSession(address, key, ledger)
    }
  }
}

function check(stream: Gathered, to: number, ledger: Ledger): void {
  const { label, texts, end } = stream
  const missing = texts.findIndex((text, at) => text !== `${label}#${at + 1}`)
  if (missing >= 0) {
    ledger.lost++
    ledger.violation(`${label}: message ${missing + 1} is ${texts[missing]}`)
  }
  if (end === undefined) return
  const { error, result } = end
  if (typeof error === 'object' && error.data?.code === orphaned) {
    ledger.orphans++
    return
  }
  if (result?.content?.[0]?.text !== `${label} counted to ${to}`)
    ledger.violation(`${label} ended with ${JSON.stringify(end)}`)
  else if (texts.length !== to) {
    ledger.lost += to - texts.length
    ledger.violation(`${label} ended after ${texts.length} of ${to} numbers`)
  } else ledger.calls++
}

/** Calls that ask their client, who answers at whichever server comes next. */
export async function answerQuestions(address: Address, key: string, ledger: Ledger, run: Run): Promise<void> {
  const session = await openSession(address, key, ledger)
  let id = 0
  while (run.goesOn && session !== undefined) {
    const label = `ask-${++made}`
    const own = ++id
    const stream = new Gathered(label, ledger)
    const color = `color-${made}`
    const answers: Promise<unknown>[] = []
    const params = { name: 'ask', arguments: { label } }
    const breakAfter = made % 4 === 0 ? 1 : Number.POSITIVE_INFINITY
    await follow(
      { address, session, ledger, stream, breakAfter },
      inSession(session, 'tools/call', params, own),
      (heard) => {
        if (heard.method !== 'elicitation/create') return heard.id === own ? undefined : JSON.stringify(heard)
        const body = JSON.stringify({ jsonrpc: '2.0', id: heard.id, result: { action: 'accept', content: { color } } })
        answers.push(
          insist(address, { headers: { 'Mcp-Session-Id': session.id }, body }, key, ledger).then((answer) => {
            if (answer !== undefined && answer.status !== 202)
              ledger.violation(`${label}: answered with ${answer.status}`)
          }),
        )
        return heard.params?.message
      },
    )
    await Promise.all(answers)
    const { end } = stream
    if (end === undefined) continue
    if (typeof end.error === 'object' && end.error.data?.code === orphaned) ledger.orphans++
    else if (end.result?.content?.[0]?.text !== `${label} is ${color}`)
      ledger.violation(`${label} ended with ${JSON.stringify(end)}`)
    else ledger.questions++
  }
}
