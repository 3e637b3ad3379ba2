import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { defineTool } from '../catalog/define.ts'
import { OwnBus } from '../replica/bus.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { FakeReply } from './reply.fixture.ts'
import { alice, serverWith } from './server.fixture.ts'
import { openSessionStream } from './session-endpoints.ts'

/** Longer than a poll. */
const within = { timeout: 10_000 }

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

/** Two processes on one store, as far as streams go. */
function replicas() {
  const { tool, step } = steered()
  const history = new MemoryHistoryStore({ eventsMax: 100, historyMs: 60_000 })
  const bus = new OwnBus()
  const dead = new Set<string>()
  const cuts = new Map<string, () => void>()
  const server = (self: string) =>
    serverWith([tool], {
      history,
      bus,
      replicas: {
        self,
        shared: true,
        isAlive: (id) => !dead.has(id),
        onCut(listener) {
          cuts.set(self, listener)
          return () => undefined
        },
      },
    })
  const [a, b] = [server('A'), server('B')]
  const session = a.openSession()
  const call = (reply: FakeReply) =>
    a.send('tools/call', { name: 'steered' }, { progressToken: 'p', session, reply, id: 'asked' })
  const resume = (
    at: typeof a,
    last: string | undefined,
    reply = new FakeReply(),
    principal = alice,
    startedAt = at.services.clock(),
  ) => openSessionStream(at.services, { principal, session, startedAt }, last, reply).then(() => reply)
  return { a, b, history, session, call, resume, step, dead, cut: (self: string) => cuts.get(self)?.() }
}

const told = (reply: FakeReply) =>
  reply.messages.map(
    ({ params, error }) =>
      (params as { progress?: number } | undefined)?.progress ??
      (error as { data: { code: string } } | undefined)?.data.code ??
      'answer',
  )

describe('two processes on one store', () => {
  test('EV-04: a call that goes on in one is read in the other, and back', async () => {
    const { a, b, call, resume, step } = replicas()
    const first = new FakeReply()
    void call(first)
    await turn()
    await step()
    first.leave()
    await step()
    const second = await resume(b, first.ids.at(-1))
    await step()
    await vi.waitFor(() => expect(told(second)).toEqual([3, 4]), within)
    second.leave()
    await step()
    const third = await resume(a, second.ids.at(-1))
    await step(true)
    await vi.waitFor(() => expect(third.gone).toBe(true), within)
    expect([first, second, third].flatMap(told)).toEqual([1, 2, 3, 4, 5, 'answer'])
    const held = () => [a, b].map(({ services }) => [services.running.size, [...services.live.all()]])
    await vi.waitFor(
      () =>
        expect(held()).toEqual([
          [0, []],
          [0, []],
        ]),
      within,
    )
  })

  test('a process that is gone: its call ends with an error for whoever comes back', async () => {
    const { b, call, resume, step, dead } = replicas()
    const first = new FakeReply()
    void call(first)
    await turn()
    await step()
    dead.add('A')
    const second = await resume(b, first.ids.at(-1))
    await vi.waitFor(() => expect(second.gone).toBe(true), within)
    expect([first, second].flatMap(told)).toEqual([1, 2, 'CALL_LOST'])
    expect(second.messages.at(-1)).toMatchObject({ id: 'asked', error: { code: 50_201 } })
  })

  test('a process that the others gave up ends its streams, and writes to them no more', async () => {
    const { a, b, call, resume, step, dead, cut } = replicas()
    const [first, own] = [new FakeReply(), new FakeReply()]
    void call(first)
    await turn()
    await resume(a, undefined, own)
    dead.add('A')
    cut('A')
    expect([first.gone, own.gone]).toEqual([true, true])
    const second = await resume(b, first.ids.at(-1))
    await vi.waitFor(() => expect(second.gone).toBe(true), within)
    await step()
    await step(true)
    const third = await resume(b, second.ids.at(-2) ?? first.ids.at(-1))
    await vi.waitFor(() => expect(third.gone).toBe(true), within)
    expect([first, second].flatMap(told)).toEqual([1, 'CALL_LOST'])
    expect(told(third)).toEqual(['CALL_LOST'])
  })

  test('a stop lets readers go on elsewhere, while the call goes on', async () => {
    const { a, b, call, resume, step } = replicas()
    const first = new FakeReply()
    const done = call(first)
    await turn()
    const draining = a.services.running.drain(60_000)
    await turn()
    expect(first.sent.slice(-2)).toEqual(['prime 1000', 'finish'])
    const second = await resume(b, first.ids.at(-1))
    await step()
    await step(true)
    await Promise.all([done, draining])
    await vi.waitFor(() => expect(second.gone).toBe(true), within)
    expect([first, second].flatMap(told)).toEqual([1, 2, 'answer'])
  })

  test('a stop tells who reads the session’s own stream where to come back', async () => {
    const { a, b, resume } = replicas()
    const own = await resume(a, undefined)
    await vi.waitFor(() => expect(own.sent).toEqual(['prime 1000']), within)
    await a.services.running.drain(0)
    expect(own.sent).toEqual(['prime 1000', 'prime 1000', 'finish'])
    const next = await resume(b, own.ids.at(-1))
    expect(next.gone).toBe(false)
    next.leave()
  })

  test.each([
    ['where it is made', 'a'],
    ['elsewhere', 'b'],
  ] as const)(
    'EV-09 SE-11: who came while another was given all of a stream is refused, though nobody reads it any more: %s',
    async (_where, at) => {
      const servers = replicas()
      const { a, b, call, resume, step } = servers
      const [here, there] = at === 'a' ? [a, b] : [b, a]
      const first = new FakeReply()
      void call(first)
      await turn()
      first.leave()
      let steady = performance.now()
      const read = vi.spyOn(performance, 'now').mockImplementation(() => steady)
      onTestFinished(() => read.mockRestore())
      const reader = await resume(here, first.ids.at(-1))
      const arrivedAt = here.clock.now + 10
      for (const { clock } of [a, b]) clock.now += 20
      steady += 20
      await step(true)
      await vi.waitFor(() => expect(reader.gone).toBe(true), within)
      for (const { clock } of [a, b]) clock.now += 20
      const late = resume(there, first.ids.at(-1), new FakeReply(), alice, arrivedAt)
      await expect(late).rejects.toMatchObject({ code: 'stream.taken' })
      const next = await resume(there, first.ids.at(-1))
      expect([told(reader), told(next)]).toEqual([['answer'], ['answer']])
    },
  )

  const endings: Readonly<
    Record<string, (all: ReturnType<typeof replicas>, at: 'a' | 'b', reader: FakeReply) => unknown>
  > = {
    'the stream ends': ({ step }) => step(true),
    'they leave': (_all, _at, reader) => reader.leave(),
    'a message cannot be kept': ({ history, step }) => {
      vi.spyOn(history, 'append').mockImplementationOnce(() => {
        throw new Error('out of reach')
      })
      return step()
    },
    'their credential is withdrawn': (all, at) =>
      all[at].services.running.withdraw(alice.credential, all[at].clock.now),
    'their server stops': (all, at) => all[at].services.running.drain(0),
    'the session ends': (all, at) => all[at].services.live.end(all.session.id),
  }
  describe.each(Object.entries(endings))('who came back has left the stream when %s', (_when, end) => {
    test.each([
      ['where it is made', 'a'],
      ['elsewhere', 'b'],
    ] as const)('%s', async (_where, at) => {
      const all = replicas()
      const first = new FakeReply()
      void all.call(first)
      await turn()
      first.leave()
      const reader = await all.resume(all[at], first.ids.at(-1))
      const left = vi.spyOn(all.history, 'leave')
      await end(all, at, reader)
      await vi.waitFor(() => expect(left.mock.calls.map(([, , claim]) => claim)).toEqual([1]), within)
      expect(reader.gone).toBe(true)
    })
  })

  describe('a claim that is granted and not answered', () => {
    /** A stream that nobody reads, of which the answer to the next claim is lost when it is told. */
    const unanswered = async () => {
      const all = replicas()
      const first = new FakeReply()
      void all.call(first)
      await turn()
      first.leave()
      const claim = all.history.claim.bind(all.history)
      const answer = Promise.withResolvers<never>()
      vi.spyOn(all.history, 'claim').mockImplementationOnce(((...given: Parameters<typeof claim>) => {
        claim(...given)
        return answer.promise
      }) as never)
      const lose = () => answer.reject(new Error('connection lost'))
      return { ...all, lose, last: first.ids.at(-1) }
    }

    test('is given up: others may read the stream', async () => {
      const { a, b, resume, lose, last } = await unanswered()
      const failed = resume(a, last)
      lose()
      await expect(failed).rejects.toThrow('connection lost')
      const arrivedAt = b.clock.now
      expect((await resume(b, last, new FakeReply(), alice, arrivedAt)).gone).toBe(false)
    })

    test('SE-11: is not given up when somebody else holds the stream by the same name', async () => {
      const { a, b, history, resume, lose, last } = await unanswered()
      const [gone, early] = [new FakeReply(), new FakeReply()]
      const failed = resume(a, last, gone)
      await turn()
      gone.leave()
      // Not here, while it is not known what became of it.
      await expect(resume(a, last, early)).rejects.toMatchObject({ code: 'stream.taken' })
      const leaving = Promise.withResolvers<void>()
      const leave = history.leave.bind(history)
      const left = vi.spyOn(history, 'leave').mockImplementation((async (...given: Parameters<typeof leave>) => {
        await leaving.promise
        leave(...given)
      }) as never)
      lose()
      await expect(failed).rejects.toThrow('connection lost')
      await expect(resume(a, last, early)).rejects.toMatchObject({ code: 'stream.taken' })
      leaving.resolve()
      await turn()
      const next = await resume(a, last)
      expect(next.gone).toBe(false)
      expect(left).toHaveBeenCalledOnce()
      const [session, stream, seq] = vi.mocked(history.claim).mock.calls[0]!
      const other = history.claim(session, stream, seq, { reader: 'B', waitedMs: 0 }, b.clock.now)
      expect(other).toMatchObject({ outcome: 'taken', by: 'A' })
      next.leave()
      await turn()
      expect((await resume(b, last)).gone).toBe(false)
    })
  })

  test('EV-03: who may not make the call any more gets nothing of it in the other process either', async () => {
    const { b, call, resume, step } = replicas()
    const first = new FakeReply()
    void call(first)
    await turn()
    first.leave()
    await step()
    const narrowed = { ...alice, effective: new Set(['read']) }
    const refused = new FakeReply()
    await expect(resume(b, first.ids.at(-1), refused, narrowed)).rejects.toMatchObject({ code: 'scope.missing' })
    expect([refused.sent, refused.streaming]).toEqual([[], false])
    const again = await resume(b, first.ids.at(-1))
    expect(told(again)).toEqual([2])
    again.leave()
  })

  test('a refused reader holds nothing: not the stream, nor a place among streams', async () => {
    const { a, b, call, resume, step } = replicas()
    const first = new FakeReply()
    void call(first)
    await turn()
    first.leave()
    await step()
    const reader = await resume(b, first.ids.at(-1))
    await expect(resume(b, first.ids.at(-1))).rejects.toMatchObject({ code: 'stream.taken' })
    expect(b.services.running.size).toBe(1)
    reader.leave()
    expect([b.services.running.size, [...b.services.live.all()]]).toEqual([0, []])
    expect((await resume(a, first.ids.at(-1))).gone).toBe(false)
  })
})
