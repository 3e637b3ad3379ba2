import type { Client, History, ModelSession } from './history.ts'
import { resume } from './reading.ts'
import { type ModelStream, Violation } from './stream.ts'
import { bounds } from './world.ts'

/** What the servers say by themselves as the last word of a call. */
const withdrawn = 'error INVALID_API_KEY'
const orphaned = 'error CALL_LOST'

const streamsOf = (session: ModelSession): readonly ModelStream[] => [
  ...session.streams,
  ...(session.own === undefined ? [] : [session.own]),
]

/** A stream that will say no more, and may not have said all. */
async function cutOff(stream: ModelStream): Promise<void> {
  stream.over = true
  stream.cut = true
  await stream.puppet?.until(() => false)
  if (stream.readerIsOpen) await stream.reader!.ended()
}

export async function cancel(history: History, at: number, session: ModelSession, stream: ModelStream): Promise<void> {
  const { requestId } = stream
  // An id may be in use at two servers, where the second did not know of the first: then it names no call.
  if (session.streams.filter((each) => each.requestId === requestId && !each.over).length > 1) return
  const status = history.statusFor(session.client, session, 202)
  const request = history.in(session, 'notifications/cancelled', { requestId })
  await history.ask(at, request, session.client.key.text, [status])
  if (status !== 202) return
  await cutOff(stream)
}

export async function end(history: History, at: number, client: Client, session: ModelSession): Promise<void> {
  const status = history.statusFor(client, session, 204)
  const request = { ...history.stream(session), verb: 'DELETE' }
  await history.ask(at, request, client.key.text, [status])
  if (status !== 204) return
  session.over = true
  await history.refusedEverywhere(at, session, 404)
  for (const stream of streamsOf(session)) await cutOff(stream)
}

/** Takes a key back: whatever it opened ends, and it is refused. */
export async function revoke(history: History, at: number, client: Client): Promise<void> {
  if (client.revoked) return
  await history.world.replicas[at]!.control.call('api-keys.revoke', { params: { id: client.key.id } })
  client.revoked = true
  const mine = history.sessions.filter((each) => each.client === client && !each.over)
  for (const session of mine) {
    await history.refusedEverywhere(at, session, 401)
    for (const stream of streamsOf(session)) {
      stream.mayEndWith.add(withdrawn)
      await cutOff(stream)
    }
  }
}

/**
 * Sets the clocks past the time that history is kept, or that a session may be idle. What is over is refused before it is
 * swept and after; a sweep is seen by nobody, so that `sweep` waits for as long as one takes to come.
 */
export async function pass(history: History, what: 'history' | 'sweep' | 'idle'): Promise<void> {
  if (history.world.advance === undefined) return
  if (what !== 'idle') {
    history.advance(bounds.historyMs + 20_000)
    if (what === 'sweep') await new Promise((swept) => setTimeout(swept, bounds.sweepMs + 100))
    return
  }
  history.advance(bounds.idleMs + 5_000)
  for (const session of history.sessions) {
    if (session.over) continue
    session.over = true
    const ping = history.in(session, 'ping', {}, 'ping')
    const { revoked, key } = session.client
    for (const at of history.world.replicas.keys()) await history.ask(at, ping, key.text, [revoked ? 401 : 404])
    for (const stream of streamsOf(session)) await cutOff(stream)
  }
}

/** Stops a server where no call is under way, and starts it again: its streams end, and nothing else. */
export async function restart(history: History, at: number): Promise<void> {
  const { restart } = history.world
  const all = history.sessions.filter((each) => !each.over).flatMap(streamsOf)
  if (restart === undefined || all.some((each) => each.at === at && each.requestId !== undefined && !each.over)) return
  const readers = all.flatMap((each) => (each.readerIsOpen && each.reader!.at === at ? [each.reader!] : []))
  await restart(at)
  for (const reader of readers) await reader.brokenOff()
  for (const { own } of history.sessions) if (own?.at === at) own.over = true
}

/** Kills a server and starts it again. What a client has heard is there; the calls that ran there are over. */
export async function kill(history: History, at: number): Promise<void> {
  const { kill } = history.world
  if (kill === undefined) return
  history.counts.kills++
  await kill(at)
  for (const session of history.sessions) {
    if (session.over) continue
    for (const stream of streamsOf(session)) {
      if (stream.reader?.at === at) await stream.reader.brokenOff()
      if (stream.at !== at) continue
      stream.over = true
      stream.doubt()
      if (stream.requestId === undefined) continue
      // The call may have no answer: then the stream ends with the word that its server is gone.
      stream.mayEndWith.add(orphaned)
      if (stream.readerIsOpen) await stream.reader!.ended()
    }
  }
}

/** The end of a history: every call ends, every client gets what it has not yet, and nothing is left over. */
export async function settle(history: History): Promise<void> {
  for (const session of history.sessions) {
    if (session.over || session.client.revoked) continue
    for (const stream of session.streams) if (!stream.over) await history.finish(session, stream)
    for (const stream of streamsOf(session)) {
      if (!stream.readerIsOpen) await resume(history, stream.at, session, stream, 0)
      stream.reader?.take()
      if (stream.reader !== undefined && stream.requestId !== undefined && !stream.cut && !hasEnded(stream))
        throw new Violation(`${stream.label} ended after ${stream.said.at(-1)?.key}, and without an answer`)
    }
  }
  for (const session of history.sessions) {
    for (const stream of streamsOf(session)) {
      stream.reader?.take()
      if (stream.puppet !== undefined && stream.puppet.answers.length > stream.answered.size)
        throw new Violation(
          `${stream.label} got ${stream.puppet.answers.join(', ')} for ${stream.answered.size} answers`,
        )
    }
    if (session.over || session.client.revoked) continue
    await history.ask(0, { ...history.stream(session), verb: 'DELETE' }, session.client.key.text, [204])
  }
}

const hasEnded = ({ said }: ModelStream) => /^(?:result|error) /.test(said.at(-1)?.key ?? '')
