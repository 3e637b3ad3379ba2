import { type Address, ask, begin, type ClientSession, inSession, openSession, streamOf } from '../chaos/client.ts'
import type { Ledger, Run } from '../chaos/ledger.ts'

const patienceMs = 20_000

/** What a client hears on the stream of its session, over all the connections that it takes. */
class Listening {
  readonly heard: string[] = []
  over = false
  readonly #address: Address
  readonly #session: ClientSession
  readonly #ledger: Ledger
  readonly #ids = new Set<string>()
  #last: string | undefined
  #connection: Awaited<ReturnType<typeof begin>>

  constructor(address: Address, session: ClientSession, ledger: Ledger) {
    this.#address = address
    this.#session = session
    this.#ledger = ledger
  }

  stop(): void {
    this.over = true
    this.#connection?.destroy()
  }

  /** Opens the stream, and opens it again after its last event whenever it ends; `opened` is told of the first time. */
  async goOn(opened: () => void): Promise<void> {
    while (!this.over) {
      const resuming = this.#last !== undefined
      this.#connection = await begin(this.#address, streamOf(this.#session, this.#last), this.#session.key)
      const connection = this.#connection
      await connection?.until(() => connection.answers[0] !== undefined || connection.closed, 'a stream', patienceMs)
      const status = connection?.answers[0]?.status
      if (status === 200) {
        if (resuming) this.#ledger.resumes++
        await this.#read(opened)
      } else if (status === undefined || status === 503 || status === 409) {
        this.#ledger.note(`stream of a session, ${status}`)
        await new Promise((waited) => setTimeout(waited, 25))
      } else {
        this.#ledger.violation(`the stream of a session was answered with ${status}`)
        return
      }
      connection?.destroy()
    }
  }

  async #read(opened: () => void): Promise<void> {
    const connection = this.#connection!
    const answer = connection.answers[0]!
    for (let taken = 0; ; ) {
      for (const { id, data } of answer.events.slice(taken)) {
        taken++
        if (id !== undefined) {
          if (data !== '' && this.#ids.has(id)) this.#ledger.violation(`the event ${id} came twice`)
          this.#ids.add(id)
          this.#last = id
          opened()
        }
        const { method, params } = data === '' ? {} : JSON.parse(data)
        if (method === 'notifications/resources/updated') this.heard.push(params.uri)
      }
      if (answer.complete || connection.closed || this.over) return
      // Its heartbeats are bytes too, so this looks again at least as often as they come.
      await connection.until(
        () => answer.events.length > taken || answer.complete || connection.closed,
        'the stream of a session to go on',
        120_000,
      )
    }
  }
}

let made = 0
const changesMax = 40

/**
 * A client that asks to be told of things, and changes them, each at whichever server its turn comes to. It hears of each change
 * once, on the stream of its session, whoever carries that.
 */
export async function hearOfChanges(address: Address, key: string, ledger: Ledger, run: Run): Promise<void> {
  const session = await openSession(address, key, ledger)
  if (session === undefined) return
  const uris = Array.from({ length: changesMax }, () => `thing://${++made}`)
  const must = async (method: string, params: { uri: string } | { name: string; arguments: { uri: string } }) => {
    const answer = await ask(address, inSession(session, method, params, ++made), key, ledger)
    if (answer?.status === 200 && answer.message.error === undefined) return
    ledger.violation(`${method} ${JSON.stringify(params)} was answered with ${answer?.status} ${answer?.text}`)
  }
  for (const uri of uris) await must('resources/subscribe', { uri })
  const listening = new Listening(address, session, ledger)
  const opened = Promise.withResolvers<void>()
  const listener = listening.goOn(opened.resolve)
  await opened.promise
  const announced: string[] = []
  for (const uri of uris) {
    if (!run.goesOn) break
    await must('tools/call', { name: 'announce', arguments: { uri } })
    announced.push(uri)
    ledger.changes++
    await run.wait(200)
  }
  const until = performance.now() + patienceMs
  while (announced.some((uri) => !listening.heard.includes(uri)) && performance.now() < until)
    await new Promise((waited) => setTimeout(waited, 50))
  listening.stop()
  await listener
  for (const uri of announced) {
    const times = listening.heard.filter((each) => each === uri).length
    if (times === 1) continue
    if (times === 0) ledger.lost++
    else ledger.twice++
    ledger.violation(`the change of ${uri} was heard of ${times} times`)
  }
}
