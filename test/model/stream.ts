import type { Connection, Message } from '../attack/connection.ts'
import type { Puppet } from './puppets.ts'

/** What went wrong, as a reader of the report sees it. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** One message that a stream has to carry. */
export interface Said {
  readonly key: string
  /** When it was said, on the clock of the servers. */
  readonly at: number
  /** How many messages of its session were said before it. */
  readonly order: number
  /** Whether it must still come. What nobody had heard when its server was killed may be gone, and then all after it. */
  certain: boolean
  /** Whether it may come and need not, whatever comes after it. */
  optional?: boolean
  /** What a client calls it; known once one has heard it. */
  id?: string
}

/** A stream as it must look to a client that comes back again and again: the reference of the model. */
export class ModelStream {
  readonly label: string
  /** The request that it answers; undefined for the session's own stream. */
  readonly requestId: number | undefined
  readonly said: Said[] = []
  /** How much of it the client has. */
  seen = 0
  /** From where it was taken up last. */
  cursor = 0
  /** The last place that a resume named, whether or not it was still there. */
  named = 0
  reader: Reader | undefined
  puppet: Puppet | undefined
  /** Where the tool runs. */
  at = 0
  /** Nothing is said any more. */
  over = false
  /** What else may be its last message: errors that the server says by itself. */
  readonly mayEndWith = new Set<string>()
  /** It was cut off, so that a reader may find it ended before all was said. */
  cut = false
  /** Ids of events that carry nothing, by the number of messages before them. */
  readonly primes = new Map<number, string>()
  /** When and where events that carry nothing were kept: their loss is no gap, and a server may still take it for one. */
  readonly empties: Pick<Said, 'at' | 'order'>[] = []
  readonly questions: (string | number)[] = []
  /** Questions that have their answer. */
  readonly answered = new Set<string | number>()

  constructor(label: string, requestId: number | undefined) {
    this.label = label
    this.requestId = requestId
  }

  get readerIsOpen(): boolean {
    return this.reader !== undefined && !this.reader.done
  }

  /** The id that a client which has so many messages names. */
  idAt(count: number): string | undefined {
    return this.said[count - 1]?.id ?? this.primes.get(count)
  }

  /** What nobody has heard may be gone, as after a kill. */
  doubt(): void {
    for (const each of this.said.slice(this.seen)) if (each.id === undefined) each.certain = false
  }
}

/** One connection on which a stream is read, held against what the stream must say. */
export class Reader {
  readonly connection: Connection
  readonly stream: ModelStream
  /** The server it is read at. */
  readonly at: number
  /** The message that comes next. */
  next: number
  #looked = 0
  readonly #ids: Set<string>

  /** `ids`: all that were given in this history, to find one that is given twice. */
  constructor(connection: Connection, stream: ModelStream, at: number, from: number, ids: Set<string>) {
    this.connection = connection
    this.at = at
    this.stream = stream
    this.next = from
    this.#ids = ids
  }

  /** Whether the server has ended it, or the connection is gone. */
  get done(): boolean {
    return this.connection.closed || this.connection.destroyed || this.connection.answers[0]?.complete === true
  }

  /** How many messages have come. */
  get count(): number {
    return this.#looked
  }

  /** Looks at what has come since. Throws a Violation where that is not what must come. */
  take(): void {
    const [answer] = this.connection.answers
    if (answer === undefined) return
    if (!answer.streams) {
      if (answer.complete && this.#looked === 0) {
        this.#looked++
        this.#hear(answer.text, undefined)
      }
      return
    }
    for (; this.#looked < answer.events.length; this.#looked++) {
      const { id, data } = answer.events[this.#looked]!
      if (data !== '') this.#hear(data, id)
      else if (id !== undefined) this.stream.primes.set(this.next, id)
    }
  }

  /** Waits until all that must come has come. */
  async catchUp(): Promise<void> {
    const { said } = this.stream
    const due = () => said.length - [...said].reverse().findIndex(({ certain }) => certain)
    const has = () => {
      this.take()
      return this.done || said.every(({ certain }) => !certain) || this.next >= due()
    }
    await this.connection.until(has, `message ${due()} of ${said.length} of ${this.stream.label}: ${this.next} came`)
    this.take()
    if (this.done) this.#checkEnd()
  }

  /** Waits until it is broken off, as where its server stops: what was not heard comes by a resume. */
  async brokenOff(): Promise<void> {
    await this.connection.until(() => this.done, `the end of a connection of ${this.stream.label}`)
    this.take()
    this.stream.reader = undefined
  }

  /** Waits until the server has ended it. */
  async ended(): Promise<void> {
    await this.connection.until(() => this.done, `the end of ${this.stream.label}`)
    this.take()
    this.#checkEnd()
  }

  #checkEnd(): void {
    const { stream } = this
    if (this.next < stream.said.length && stream.said.slice(this.next).every(({ certain }) => !certain))
      stream.said.length = this.next
    if (stream.cut || this.next >= stream.said.length || this.connection.destroyed) return
    throw new Violation(`${stream.label} ended after ${this.next} of ${stream.said.length} messages`)
  }

  #hear(data: string, id: string | undefined): void {
    const { stream } = this
    const key = keyOf(JSON.parse(data) as Message, stream)
    if (stream.said[this.next]?.key !== key) this.#forgetDoubted(key)
    let said = stream.said[this.next]
    if (said === undefined && stream.mayEndWith.has(key)) {
      // It is as new as can be: nobody knows when the server said it.
      said = { key, at: Number.POSITIVE_INFINITY, order: Number.POSITIVE_INFINITY, certain: true }
      stream.said.push(said)
      stream.over = true
    }
    if (said?.key !== key) throw new Violation(this.#wrong(key))
    if (said.id === undefined && id !== undefined) {
      if (this.#ids.has(id)) throw new Violation(`${stream.label}: ${key} has the id of another event, ${id}`)
      this.#ids.add(id)
      said.id = id
    }
    if (said.id !== id) throw new Violation(`${stream.label}: ${key} was ${said.id} and is ${id}`)
    this.next++
    stream.seen = Math.max(stream.seen, this.next)
    if (said.optional) this.#doubtTwin(key)
  }

  /** What may have come looks like another that must: it may have been that one, and then this one does not come. */
  #doubtTwin(key: string): void {
    const twin = this.stream.said.find((each, at) => at >= this.next && each.certain && each.key === key)
    if (twin !== undefined) Object.assign(twin, { certain: false, optional: true })
  }

  /** Of what was not heard before a kill some may be gone: then all to the end of that run is. */
  #forgetDoubted(key: string): void {
    const { said } = this.stream
    const found = said.findIndex((each, at) => at >= this.next && each.key === key)
    if (found >= 0 && said.slice(this.next, found).every(({ optional }) => optional)) {
      said.splice(this.next, found - this.next)
      return
    }
    let end = this.next
    while (said[end] !== undefined && !said[end]!.certain) end++
    if (said[end]?.key === key || (end === said.length && this.stream.mayEndWith.has(key)))
      said.splice(this.next, end - this.next)
  }

  #wrong(key: string): string {
    const { said, label } = this.stream
    const at = said.findIndex((each) => each.key === key)
    const expected = said[this.next]?.key ?? 'nothing'
    const what = at < 0 ? 'foreign' : at < this.next ? 'repeated' : 'early, with a gap before it'
    return `${label}: message ${this.next + 1} must be ${expected}, and is ${what}: ${key}`
  }
}

/** What a message says, as the model names it. What no stream of ours would say is named as it came. */
export function keyOf(message: Message, stream: ModelStream): string {
  const { method, params, id, result, error } = message
  if (method === 'notifications/progress')
    return params?.['progressToken'] === `token-${stream.requestId}` ? `say ${params.message}` : JSON.stringify(message)
  if (method === 'elicitation/create' && id !== undefined) {
    if (!stream.questions.includes(id)) stream.questions.push(id)
    return `ask ${params?.message}`
  }
  if (method === 'notifications/resources/updated') return `update ${params?.['uri']}`
  if (id !== stream.requestId) return JSON.stringify(message)
  if (result !== undefined) return `result ${result.content?.[0]?.text}`
  if (typeof error === 'object') return `error ${error.data?.code}`
  return JSON.stringify(message)
}
