import { createSecretKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Params } from '../call.ts'
import { defineTool } from '../catalog/define.ts'
import { Fault } from '../errors.ts'
import type { Letter, Received } from '../replica/mailbox.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { Changes } from './changes.ts'
import { LiveSessions } from './live-sessions.ts'
import { FakeReply } from './reply.fixture.ts'
import { alice, serverWith } from './server.fixture.ts'
import type { Post } from './services.ts'

const questionKey = createSecretKey(Buffer.alloc(32, 9))
const nameOf = (session: string) => `name of ${session}`

/** Brings letters at once, to all who read. */
class OpenPost implements Post {
  readonly left: Letter[] = []
  readonly nameOf = nameOf
  private readonly listeners: ((letter: Received) => unknown)[] = []
  full = false

  async send(letter: Letter): Promise<void> {
    if (this.full) throw new Fault('capacity.exceeded')
    const revision = this.left.push(letter)
    const { session, news } = letter
    this.give((session === undefined ? { news, revision } : named(letter, revision)) as Received)
  }

  give(letter: Received): void {
    for (const listener of this.listeners) listener(letter)
  }

  onLetter(listener: (letter: Received) => unknown): void {
    this.listeners.push(listener)
  }

  onLost(): void {}

  async catchUp(): Promise<void> {}
}

const named = ({ session, news }: Letter, revision: number): Received =>
  ({ revision, session: nameOf(session!.id), binding: session!.binding, news }) as Received

const asking = defineTool({
  name: 'ask',
  description: 'Asks.',
  input: { type: 'object' },
  run: async (_input, ctx) => (await ctx.roots()).map(({ uri }) => uri),
})
const waiting = defineTool({
  name: 'wait',
  description: 'Waits until it is cancelled.',
  input: { type: 'object' },
  run: (_input, ctx) =>
    new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
})
const telling = defineTool({
  name: 'tell',
  description: 'Tells of a change.',
  input: { type: 'object' },
  run: (_input, ctx) => {
    ctx.notify.toolsChanged()
    return 'told'
  },
})

/** Two servers that share their sessions, and a session of alice. */
const open = () => {
  const post = new OpenPost()
  const sessions = new MemorySessionStore(1_000_000)
  const serve = () => {
    const server = serverWith([asking, waiting, telling], {
      sessions,
      mail: post,
      live: new LiveSessions(undefined, questionKey),
      changes: new Changes((change) => void post.send({ news: { kind: 'change', change } })),
    })
    return server
  }
  const [here, there] = [serve(), serve()]
  return { post, here, there, session: here.openSession() }
}

const roots = { roots: [{ uri: 'file:///a' }] }
const call = (name: string) => ({ name, arguments: {} })
const idOf = (reply: FakeReply) => reply.messages.find(({ method }) => method === 'roots/list')?.['id'] as string

describe('what meets the wrong replica', () => {
  const ask = async () => {
    const opened = open()
    const { here, session } = opened
    const reply = new FakeReply()
    void here.send('tools/call', call('ask'), { session, reply, id: 1, capabilities: { roots: {} } })
    await expect.poll(() => idOf(reply)).toBeDefined()
    const respond = (id: string, result: Params = roots, of = session) =>
      opened.there.tell({ kind: 'response', id, result }, { session: of })
    return { ...opened, reply, respond, answered: () => JSON.stringify(reply.messages.at(-1)) }
  }

  test('SE-13: an answer is brought to the replica that asked, and has effect once', async () => {
    const { there, reply, respond, answered, post } = await ask()
    const told = respond(idOf(reply))
    await expect.poll(answered).toContain('file:///a')
    expect(told.sent).toEqual(['finish'])
    expect(there.records).toEqual([{ method: 'response', code: undefined, outcome: 'accepted' }])
    const before = reply.sent.length
    respond(idOf(reply), { roots: [{ uri: 'file:///other' }] })
    await expect.poll(() => post.left).toHaveLength(2)
    expect(reply.sent).toHaveLength(before)
  })

  test('SE-13: an answer to what nobody asked in this session goes nowhere', async () => {
    const { here, reply, respond, post, there } = await ask()
    const other = here.openSession()
    for (const id of ['made up', `${idOf(reply).slice(0, -2)}AA`]) respond(id)
    respond(idOf(reply), roots, other)
    expect(post.left).toEqual([])
    expect(there.records).toHaveLength(3)
  })

  test('SE-13 SE-05: a letter of another session or another principal has no effect', async () => {
    const { reply, session, post, here } = await ask()
    const before = reply.sent.length
    const news = { kind: 'answer', id: idOf(reply), result: roots } as const
    const other = here.openSession()
    void here.send('tools/call', call('wait'), { session: other, id: 5 })
    for (const of of [
      { ...session, binding: 't1 user bob key_bob' },
      other,
      { id: 'gone', tenant: 't1', binding: session.binding },
    ])
      post.give(named({ session: of, news }, 1))
    expect(reply.sent).toHaveLength(before)
    await expect.poll(() => here.services.running.size).toBe(2)
    post.give(named({ session, news }, 2))
    await expect.poll(() => here.services.running.size).toBe(1)
  })

  test('an answer that could not be passed on is refused, and can be sent again', async () => {
    const { there, reply, session, post, answered } = await ask()
    post.full = true
    const message = { kind: 'response', id: idOf(reply), result: roots } as const
    const refused = new FakeReply()
    await expect(
      there.dispatch({ ...there.admitted(message, { session }), principal: alice }, refused),
    ).rejects.toMatchObject({ code: 'capacity.exceeded' })
    expect([refused.sent, there.records]).toEqual([[], []])
    post.full = false
    there.tell(message, { session })
    await expect.poll(answered).toContain('file:///a')
  })

  test('what a client says in its refusal is cut before it travels', async () => {
    const { there, reply, session, post, answered } = await ask()
    const error = { code: -1, message: 'x'.repeat(100_000), data: { secret: 'canary' } }
    there.tell({ kind: 'response', id: idOf(reply), error }, { session })
    await expect.poll(answered).toContain('x'.repeat(200))
    expect(JSON.stringify(post.left)).not.toMatch(/x{201}|canary/)
  })

  test('a request is cancelled where it runs', async () => {
    const { here, there, session, post } = open()
    const reply = new FakeReply()
    void here.send('tools/call', call('wait'), { session, reply, id: 7 })
    await expect.poll(() => here.services.running.size).toBe(1)
    const cancel = (requestId: unknown) =>
      there.tell({ kind: 'notification', method: 'notifications/cancelled', params: { requestId } }, { session })
    for (const nonsense of [undefined, null, { id: 7 }, [7], true]) cancel(nonsense)
    expect(post.left).toEqual([])
    cancel('7')
    expect(here.services.running.size).toBe(1)
    cancel(7)
    await expect.poll(() => here.services.running.size).toBe(0)
    expect(here.records.at(-1)).toMatchObject({ outcome: 'cancelled' })
  })

  test('RL-17 TR-15: an id that no request can have is no letter, so that nobody fills the mailbox of all with it', async () => {
    const { there, session, post } = open()
    for (const requestId of ['x'.repeat(257), 'x'.repeat(2_000_000), 1.5, Number.MAX_SAFE_INTEGER + 1])
      there.tell({ kind: 'notification', method: 'notifications/cancelled', params: { requestId } }, { session })
    expect(post.left).toEqual([])
  })

  test('what is found here is not told to others', async () => {
    const { here, session, post } = open()
    const reply = new FakeReply()
    void here.send('tools/call', call('ask'), { session, reply, id: 1, capabilities: { roots: {} } })
    void here.send('tools/call', call('wait'), { session, id: 2 })
    await expect.poll(() => here.services.running.size).toBe(2)
    await expect.poll(() => idOf(reply)).toBeDefined()
    here.tell({ kind: 'response', id: idOf(reply), result: roots }, { session })
    here.tell({ kind: 'notification', method: 'notifications/cancelled', params: { requestId: 2 } }, { session })
    await expect.poll(() => here.services.running.size).toBe(0)
    expect(post.left).toEqual([])
    expect([...here.services.live.all()]).toEqual([])
  })

  test('a change is told once to whoever listens, at each replica', async () => {
    const { here, there, post } = open()
    const listening = [here, here, there].map((server) => {
      const reply = new FakeReply()
      void server.send('subscriptions/listen', { notifications: { toolsListChanged: true } }, { reply })
      return reply
    })
    await here.send('tools/call', call('tell'))
    expect(post.left).toHaveLength(1)
    for (const { messages } of listening)
      expect(messages.filter(({ method }) => method === 'notifications/tools/list_changed')).toHaveLength(1)
  })
})
