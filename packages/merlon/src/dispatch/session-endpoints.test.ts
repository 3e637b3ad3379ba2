import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { Principal } from '../call.ts'
import { defineTool } from '../catalog/define.ts'
import { encodeEventId } from '../history/event-id.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { FakeReply } from './reply.fixture.ts'
import { alice, serverWith } from './server.fixture.ts'
import { endSession, openSessionStream } from './session-endpoints.ts'

const refused = (reason: string) => ({ code: 'session.unknown', detail: { reason } })
const lost = { code: 'stream.lost', detail: { reason: 'history-lost' } }

/** A tool that reports progress as often as it is told, and ends when it is told. */
function steered() {
  const steps: ((end: boolean) => void)[] = []
  const tool = defineTool({
    name: 'steered',
    description: 'Goes on as it is told.',
    input: { type: 'object' },
    run: async (_input, ctx) => {
      for (let at = 1; ; at++) {
        ctx.progress(at)
        if (await new Promise<boolean>((resolve) => steps.push(resolve))) return 'done'
      }
    },
  })
  const step = async (end = false) => {
    steps.shift()?.(end)
    await turn()
  }
  return { tool, step }
}
const call = { name: 'steered' }
const asked = { progressToken: 'p' }
const progressOf = (reply: FakeReply) =>
  reply.messages.map((message) => (message['params'] as { progress?: number })?.progress ?? 'answer')

describe('the streams of a session', () => {
  test('SE-11: a second reader of a session’s own stream is refused, and the first not touched', async () => {
    const server = serverWith([])
    const session = server.openSession()
    const first = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session }, undefined, first)
    const second = new FakeReply()
    await expect(
      openSessionStream(server.services, { principal: alice, session }, undefined, second),
    ).rejects.toMatchObject({ code: 'stream.taken' })
    server.services.changes.announce({ kind: 'tools' })
    expect(first.sent.at(-1)).toContain('notifications/tools/list_changed')
    expect(second.sent).toEqual([])
  })

  test('EV-04: a client that comes back gets what it missed, then what comes: no gap, nothing twice', async () => {
    const { tool, step } = steered()
    const server = serverWith([tool])
    const session = server.openSession()
    const first = new FakeReply()
    const done = server.send('tools/call', call, { ...asked, session, reply: first })
    await turn()
    await step()
    first.leave()
    await step()
    await step()
    const second = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session }, first.ids.at(-1), second)
    await step()
    await step(true)
    await done
    expect([...progressOf(first), ...progressOf(second)]).toEqual([1, 2, 3, 4, 5, 'answer'])
    expect(second.gone).toBe(true)
  })

  test('EV-04: in another process a session’s own stream goes on where it was, and its streams are not confused', async () => {
    const { tool, step } = steered()
    const before = serverWith([tool])
    const session = before.openSession()
    const first = new FakeReply()
    await openSessionStream(before.services, { principal: alice, session }, undefined, first)
    before.services.changes.announce({ kind: 'tools' })
    const answer = new FakeReply()
    const done = before.send('tools/call', call, { ...asked, session, reply: answer })
    await turn()
    first.leave()
    before.services.changes.announce({ kind: 'prompts' })
    await step(true)
    await done

    const after = serverWith([tool], { history: before.resumption.history })
    const second = new FakeReply()
    await openSessionStream(after.services, { principal: alice, session }, first.ids.at(-1), second)
    after.services.changes.announce({ kind: 'resources' })
    expect(second.messages.map(({ method }) => method)).toEqual([
      'notifications/prompts/list_changed',
      'notifications/resources/list_changed',
    ])
    expect(second.gone).toBe(false)
    const later = new FakeReply()
    void after.send('tools/call', call, { ...asked, session, reply: later })
    await turn()
    const stale = new FakeReply()
    await openSessionStream(after.services, { principal: alice, session }, answer.ids[0], stale)
    expect(progressOf(stale)).toEqual([1, 'answer'])
    expect(new Set([...answer.ids, ...later.ids]).size).toBe(answer.ids.length + later.ids.length)
  })

  test('EV-04: what comes while the history is being read is not lost', async () => {
    const memory = new MemoryHistoryStore({ eventsMax: 100, historyMs: 60_000 })
    let answer = () => {}
    const history = {
      append: memory.append.bind(memory),
      after: async (...given: Parameters<typeof memory.after>) => {
        const found = memory.after(...given)
        await new Promise<void>((resolve) => (answer = resolve))
        return found
      },
      claim: memory.claim.bind(memory),
      leave: memory.leave.bind(memory),
      close: memory.close.bind(memory),
      tell: memory.tell.bind(memory),
      isOpen: memory.isOpen.bind(memory),
      drop: memory.drop.bind(memory),
      sweep: memory.sweep.bind(memory),
    }
    const { tool, step } = steered()
    const server = serverWith([tool], { history })
    const session = server.openSession()
    const first = new FakeReply()
    const done = server.send('tools/call', call, { ...asked, session, reply: first })
    await turn()
    first.leave()
    await step()
    const second = new FakeReply()
    const resumed = openSessionStream(server.services, { principal: alice, session }, first.ids.at(-1), second)
    await turn()
    await step()
    const third = new FakeReply()
    await expect(
      openSessionStream(server.services, { principal: alice, session }, first.ids.at(-1), third),
    ).rejects.toMatchObject({ code: 'stream.taken' })
    answer()
    await resumed
    await step(true)
    await done
    expect(progressOf(second)).toEqual([2, 3, 'answer'])
  })

  test('an answer that came while nobody read can be fetched, once or again', async () => {
    const { tool, step } = steered()
    const server = serverWith([tool])
    const session = server.openSession()
    const first = new FakeReply()
    const done = server.send('tools/call', call, { ...asked, session, reply: first })
    await turn()
    first.leave()
    await step(true)
    await done
    for (let time = 0; time < 2; time++) {
      const later = new FakeReply()
      await openSessionStream(server.services, { principal: alice, session }, first.ids.at(-1), later)
      expect(progressOf(later)).toEqual(['answer'])
      expect(later.sent.at(-1)).toBe('finish')
      for (let turns = 0; turns < 3; turns++) await turn()
    }
  })

  test('EV-01: an id that was made up, altered or of another session is refused with the one answer', async () => {
    const server = serverWith([])
    const [session, other] = [server.openSession(), server.openSession()]
    const { key } = server.resumption
    const resume = (id: string) =>
      openSessionStream(server.services, { principal: alice, session }, id, new FakeReply())
    for (const id of ['', 'x', 'A'.repeat(32), encodeEventId(key, other.id, 0, 1)])
      await expect(resume(id)).rejects.toMatchObject(refused('event-id'))
    await expect(resume(encodeEventId(key, session.id, 0, 7))).rejects.toMatchObject(lost)
  })

  test('EV-02: a resume gives the events of its own stream only', async () => {
    const { tool, step } = steered()
    const server = serverWith([tool])
    const session = server.openSession()
    const replies = [new FakeReply(), new FakeReply()]
    const calls = replies.map((reply, at) =>
      server.send('tools/call', call, { id: at + 1, progressToken: `p${at}`, session, reply }),
    )
    await turn()
    for (const reply of replies) reply.leave()
    for (let each = 0; each < 4; each++) await step(each > 1)
    await Promise.all(calls)
    const later = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session }, replies[0]!.ids.at(-1), later)
    expect(
      later.messages.map((message) => message['id'] ?? (message['params'] as { progressToken: string }).progressToken),
    ).toEqual(['p0', 1])
  })

  test('EV-05: history that is gone is said to be gone', async () => {
    const server = serverWith([], { history: new MemoryHistoryStore({ eventsMax: 2, historyMs: 60_000 }) })
    const session = server.openSession()
    const first = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session }, undefined, first)
    first.leave()
    for (let each = 0; each < 3; each++) server.services.changes.announce({ kind: 'tools' })
    await expect(
      openSessionStream(server.services, { principal: alice, session }, first.ids[0], new FakeReply()),
    ).rejects.toMatchObject(lost)
  })

  test('RL-17: a principal holds so many streams and no more; each that ends makes room', async () => {
    const server = serverWith([], { streamsPerPrincipalMax: 2 })
    const replies: FakeReply[] = []
    const open = async (principal: Principal = alice) => {
      const reply = new FakeReply()
      await openSessionStream(server.services, { principal, session: server.openSession() }, undefined, reply)
      replies.push(reply)
    }
    await open()
    await open()
    await expect(open()).rejects.toMatchObject({ code: 'capacity.exceeded' })
    await open({ ...alice, binding: 't1 user alice key_other' })
    replies[0]!.leave()
    await open()
    expect(server.services.running.size).toBe(3)
  })

  test('AK-07: a stream ends with its credential', async () => {
    const server = serverWith([])
    const reply = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session: server.openSession() }, undefined, reply)
    server.services.running.withdraw(alice.credential, server.clock.now)
    expect(reply.gone).toBe(true)
    expect(server.services.running.size).toBe(0)
  })

  test('EV-04: who comes back just as a message cannot be kept gets what is kept, and that the call is lost', async () => {
    const { tool, step } = steered()
    const server = serverWith([tool])
    const { history } = server.resumption
    const session = server.openSession()
    const first = new FakeReply()
    const done = server.send('tools/call', call, { ...asked, session, reply: first })
    await turn()
    first.leave()
    const failing = Promise.withResolvers<number>()
    const append = history.append.bind(history)
    history.append = () => failing.promise
    await step()
    const second = new FakeReply()
    const resumed = openSessionStream(server.services, { principal: alice, session }, first.ids[0], second)
    await turn()
    failing.reject(new Error('out of reach'))
    history.append = append
    await resumed
    await vi.waitUntil(() => second.gone, { timeout: 15_000 })
    expect(second.messages.at(-1)).toMatchObject({ error: { code: 50201 } })
    expect(second.messages.slice(0, -1).map(({ params }) => params)).toEqual([{ progressToken: 'p', progress: 1 }])
    await step(true)
    await done
  })

  test('EV-04: a reader who is let go before the stream is theirs gets a stream that ends, and may come back', async () => {
    const server = serverWith([])
    const { history } = server.resumption
    const session = server.openSession()
    const claiming = Promise.withResolvers<void>()
    const claim = history.claim.bind(history)
    history.claim = async (...wanted) => {
      await claiming.promise
      return claim(...wanted)
    }
    const reply = new FakeReply()
    const opening = openSessionStream(server.services, { principal: alice, session }, undefined, reply)
    await server.services.running.drain(0)
    expect([reply.streaming, reply.sent]).toEqual([true, ['finish']])
    claiming.resolve()
    await opening
    const again = new FakeReply()
    await openSessionStream(server.services, { principal: alice, session }, undefined, again)
    expect(again.gone).toBe(false)
  })

  test('AK-07: a stream is not opened with a credential that was withdrawn while it was let in', async () => {
    const server = serverWith([])
    const session = server.openSession()
    const startedAt = server.clock.now++
    server.services.running.withdraw(alice.credential, server.clock.now++)
    const reply = new FakeReply()
    await expect(
      openSessionStream(server.services, { principal: alice, session, startedAt }, undefined, reply),
    ).rejects.toMatchObject({ code: 'credential.invalid' })
    expect([reply.sent, server.services.running.size, [...server.services.live.all()]]).toEqual([[], 0, []])
  })

  test('DELETE ends a session once, its streams and its calls with it', async () => {
    const { tool } = steered()
    const server = serverWith([tool])
    const session = server.openSession()
    const [stream, answer] = [new FakeReply(), new FakeReply()]
    await openSessionStream(server.services, { principal: alice, session }, undefined, stream)
    void server.send('tools/call', call, { ...asked, session, reply: answer })
    await turn()
    await endSession(server.services, { principal: alice, session })
    expect([stream.gone, answer.gone]).toEqual([true, true])
    expect(answer.messages.some((message) => 'result' in message)).toBe(false)
    expect(server.services.running.size).toBe(0)
    await expect(endSession(server.services, { principal: alice, session })).rejects.toMatchObject(refused('session'))
    expect(await server.resumption.history.after(session, 0, 1, server.clock.now)).toBeUndefined()
  })
})
