import * as fc from 'fast-check'
import { cancel, end, kill, pass, restart, revoke } from './ending.ts'
import type { Client, History, ModelSession } from './history.ts'
import { announce, answer, openOwn, race, resume, subscribe } from './reading.ts'
import type { ModelStream } from './stream.ts'

/** What there is to choose from at a time. A number chooses, so that a history keeps its meaning when it is made shorter. */
const pick = <T>(all: readonly T[], which: number): T | undefined => all[which % Math.max(1, all.length)]

interface Numbers {
  /** Which server. */
  readonly at: number
  readonly one: number
  readonly two: number
  readonly three: number
}

type Act = (history: History, numbers: Numbers) => Promise<void>

class Command implements fc.AsyncCommand<History, History> {
  readonly #name: string
  readonly #numbers: Numbers
  readonly #act: Act

  constructor(name: string, numbers: Numbers, act: Act) {
    this.#name = name
    this.#numbers = numbers
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(history: History): Promise<void> {
    history.counts.commands++
    const { at } = this.#numbers
    await this.#act(history, { ...this.#numbers, at: at % history.world.replicas.length })
  }

  toString(): string {
    const { at, one, two, three } = this.#numbers
    return `${this.#name}(${at}, ${one}, ${two}, ${three})`
  }
}

export const versions = ['2025-11-25', '2025-06-18'] as const
const uris = ['thing://a', 'thing://b', 'thing://c']

const clientOf = (history: History, which: number): Client => pick(history.clients, which)!
const alive = (history: History) => history.sessions.filter((each) => !each.over && !each.client.revoked)
/** Most often a session that is alive, so that what is done in it can go well. */
const sessionOf = (history: History, which: number): ModelSession | undefined =>
  which % 8 === 7 ? pick(history.sessions, which >> 3) : pick(alive(history), which)

interface Found {
  readonly session: ModelSession
  readonly stream: ModelStream
}

function found(
  sessions: readonly ModelSession[],
  which: number,
  fits: (stream: ModelStream) => boolean,
): Found | undefined {
  const all = sessions.flatMap((session) =>
    [...session.streams, ...(session.own === undefined ? [] : [session.own])]
      .filter(fits)
      .map((stream) => ({ session, stream })),
  )
  return pick(all, which)
}

const speaking = (history: History, which: number) =>
  found(alive(history), which, ({ over, puppet }) => !over && puppet !== undefined)
const readable = (history: History, which: number) =>
  found(
    which % 8 === 7 ? history.sessions : alive(history),
    which >> 3,
    (stream) => stream.idAt(stream.seen) !== undefined,
  )

/** What may happen, and how often it does. */
const acts: Readonly<Record<string, readonly [weight: number, act: Act]>> = {
  open: [4, (history, { at, one, two }) => history.open(at, clientOf(history, one), pick(versions, two)!)],
  call: [
    2,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session === undefined) return
      // Now and then somebody else tries.
      await history.echo(at, two % 3 === 0 ? clientOf(history, two) : session.client, session)
    },
  ],
  start: [
    6,
    async (history, { at, one, two, three }) => {
      const session = sessionOf(history, one)
      if (session === undefined) return
      await history.start(at, three % 6 === 0 ? clientOf(history, three) : session.client, session, two % 3)
    },
  ],
  say: [
    10,
    async (history, { one, two }) => {
      const at = speaking(history, one)
      if (at !== undefined) await history.say(at.session, at.stream, 1 + (two % 12))
    },
  ],
  breakOff: [
    6,
    async (history, { one, two, three }) => {
      const at = speaking(history, one)
      if (at !== undefined) await history.say(at.session, at.stream, 2 + (two % 12), three % 8)
    },
  ],
  lose: [
    4,
    async (history, { one }) => {
      const at = found(history.sessions, one, ({ readerIsOpen }) => readerIsOpen)
      if (at !== undefined) history.lose(at.stream)
    },
  ],
  resume: [
    10,
    async (history, { at, one, two }) => {
      const place = readable(history, one)
      if (place !== undefined) await resume(history, at, place.session, place.stream, two % 2 === 0 ? 0 : two % 6)
    },
  ],
  race: [
    2,
    async (history, { at, one, two }) => {
      const place = readable(history, one)
      if (place !== undefined) await race(history, at, place.session, place.stream, 2 + (two % 4))
    },
  ],
  overtake: [
    6,
    // A reader comes back while the tool speaks, or says its last word.
    async (history, { at, one, two, three }) => {
      const place = found(
        alive(history),
        one,
        (stream) =>
          !stream.over && !stream.readerIsOpen && stream.puppet !== undefined && stream.idAt(stream.seen) !== undefined,
      )
      if (place === undefined || history.lostFrom(place.session, place.stream, place.stream.seen) !== 'no') return
      const { session, stream } = place
      const speaks = two % 4 === 0 ? history.finish(session, stream) : history.say(session, stream, 1 + (two % 12))
      await Promise.all([speaks, resume(history, at, session, stream, three % 2)])
    },
  ],
  finish: [
    4,
    async (history, { one }) => {
      const at = speaking(history, one)
      if (at !== undefined) await history.finish(at.session, at.stream)
    },
  ],
  ask: [
    3,
    async (history, { one }) => {
      const at = speaking(history, one)
      if (at === undefined) return
      const { session, stream } = at
      const text = `${stream.label}#${stream.said.length}`
      history.note(session, stream, `ask ${text}`)
      await stream.puppet!.carryOut({ act: 'ask', text })
      if (stream.readerIsOpen) await stream.reader!.catchUp()
    },
  ],
  answer: [
    4,
    async (history, { at, one, two, three }) => {
      const place = found(alive(history), one, ({ questions, over }) => questions.length > 0 && !over)
      if (place === undefined) return
      const { session, stream } = place
      const by = three % 4 === 0 ? clientOf(history, three >> 2) : session.client
      await answer(history, at, by, session, stream, two)
    },
  ],
  cancel: [
    1,
    async (history, { at, one }) => {
      const place = speaking(history, one)
      if (place !== undefined) await cancel(history, at, place.session, place.stream)
    },
  ],
  openOwn: [
    3,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session === undefined) return
      await openOwn(history, at, two % 6 === 0 ? clientOf(history, two) : session.client, session)
    },
  ],
  subscribe: [
    2,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session !== undefined) await subscribe(history, at, session.client, session, pick(uris, two)!)
    },
  ],
  announce: [
    4,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session !== undefined) await announce(history, at, session.client, session, pick(uris, two)!)
    },
  ],
  steal: [
    5,
    // The event of a stream, named by somebody else, or in another session of the same client.
    async (history, { at, one, two }) => {
      const place = readable(history, one)
      if (place === undefined) return
      const { session, stream } = place
      const others = history.sessions.filter((each) => each !== session)
      const elsewhere = two % 2 === 0 ? pick(others, two >> 1) : undefined
      const client = elsewhere?.client ?? clientOf(history, two >> 1)
      if (elsewhere === undefined && client === session.client) return
      const request = history.stream(elsewhere ?? session, stream.idAt(stream.seen))
      await history.ask(at, request, client.key.text, [client.revoked ? 401 : 404])
    },
  ],
  forge: [
    1,
    async (history, { at, one, two }) => {
      const place = readable(history, one)
      if (place === undefined) return
      const { session, stream } = place
      const bytes = Buffer.from(stream.idAt(stream.seen)!, 'base64url')
      bytes[two % bytes.length]! ^= 1 << (two % 7)
      const request = history.stream(session, bytes.toString('base64url'))
      await history.ask(at, request, session.client.key.text, [history.statusFor(session.client, session, 404)])
    },
  ],
  stranger: [
    1,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session === undefined) return
      const { text } = session.client.key
      const key = two % 2 === 0 ? undefined : `${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`
      await history.ask(at, history.stream(session), key, [401])
      await history.ask(at, history.in(session, 'ping', {}, 1), key, [401])
    },
  ],
  end: [
    1,
    async (history, { at, one, two }) => {
      const session = sessionOf(history, one)
      if (session === undefined) return
      await end(history, at, two % 3 === 0 ? clientOf(history, two) : session.client, session)
    },
  ],
  revoke: [1, (history, { at, one }) => (one % 2 === 0 ? revoke(history, at, clientOf(history, one >> 2)) : nothing)],
  pass: [2, (history, { one }) => pass(history, one % 8 === 0 ? 'idle' : one % 12 === 1 ? 'sweep' : 'history')],
  restart: [1, (history, { at }) => restart(history, at)],
  kill: [3, (history, { at }) => kill(history, at)],
}

const nothing = Promise.resolve()
const number = fc.nat({ max: 4_095 })

/** Histories of at most so many commands. `replayPath` is what a failure printed. */
export function histories(
  commandsMax: number,
  replayPath?: string,
): fc.Arbitrary<Iterable<fc.AsyncCommand<History, History>>> {
  const all = Object.entries(acts).flatMap(([name, [weight, act]]) => {
    const command = fc
      .record({ at: number, one: number, two: number, three: number })
      .map((numbers) => new Command(name, numbers, act))
    return Array.from({ length: weight }, () => command)
  })
  return fc.commands(all, {
    maxCommands: commandsMax,
    size: 'max',
    ...(replayPath === undefined ? {} : { replayPath }),
  })
}
