import { expect, test, vi } from 'vitest'
import type { Control, ControlInput } from '../admin/control.ts'
import { ControlUnreachable } from '../admin/http-control.ts'
import { followAudit } from './audit-tail.ts'
import { silentContext } from './silent-context.fixture.ts'

/** A log that grows between two questions, and goes away after the last. */
function growing(...added: number[]): { control: Control; asked: ControlInput['query'][] } {
  let size = 0
  const asked: ControlInput['query'][] = []
  const control: Control = {
    async call(_, { query = {} } = {}) {
      asked.push(query)
      const before = query['cursor'] === undefined ? undefined : Number(query['cursor'])
      if (before === undefined) {
        const more = added.shift()
        if (more === undefined) throw new ControlUnreachable('absent')
        size += more
      }
      const newest = before ?? size
      const limit = Math.min(Number(query['limit']), 3)
      const items = Array.from({ length: Math.min(limit, newest) }, (_each, at) => record(newest - 1 - at))
      const next = newest - items.length
      return { status: 200, body: { items, ...(next > 0 ? { next: String(next) } : {}) } }
    },
    async close() {},
  }
  return { control, asked }
}

const record = (seq: number) => ({
  ...{ seq, timestamp: `2026-11-22T02:00:0${seq % 10}.000Z`, type: 'access', level: 'info', success: true },
  ...(seq === 4 ? { method: 'audit.query' } : { method: `call-${seq}` }),
})

async function tail(control: Control, serving: boolean, type = 'access') {
  const out: string[] = []
  const said: string[] = []
  vi.useFakeTimers()
  try {
    const context = silentContext({ out: (text) => void out.push(text), say: (text) => void said.push(text) })
    const asking = { control, local: true, config: undefined, serving }
    const run = { context, asking, options: {}, words: [], thing: undefined }
    const input = { params: {}, query: { limit: '2', type }, body: {} }
    const ended = followAudit(run, input).then(
      () => 'ended',
      (thrown: unknown) => (thrown instanceof ControlUnreachable ? thrown.how : thrown),
    )
    await vi.runAllTimersAsync()
    return { how: await ended, out: out.map((line) => line.split('  ')[4]), said }
  } finally {
    vi.useRealTimers()
  }
}

test('every record comes once, in its order, however many came between two questions; reading the log is left out', async () => {
  const { control, asked } = growing(2, 0, 5, 1)
  const { how, out } = await tail(control, true)
  expect(out).toEqual(['call-0', 'call-1', 'call-2', 'call-3', 'call-5', 'call-6', 'call-7'])
  expect(how).toBe('absent')
  expect(asked[0]).toEqual({ type: 'access', limit: '2' })
  expect(asked[1]).toEqual({ type: 'access', limit: 200, from: '2026-11-22T01:59:01.000Z' })
})

test('without a running server it ends, and says so', async () => {
  const { how, out, said } = await tail(growing(2).control, false)
  expect(how).toBe('ended')
  expect(out).toEqual(['call-0', 'call-1'])
  expect(said).toEqual(['merlon: no server runs here, so nothing more is written'])
})

/** A log of one record more with each question: a call, then what reading it leaves, with a head after each. */
function read(...methods: string[]): Control {
  const log: object[] = []
  return {
    async call() {
      const method = methods.shift()
      if (method === undefined) throw new ControlUnreachable('absent')
      log.unshift({ ...record(log.length), method, type: method === 'head' ? 'head' : 'access' })
      return { status: 200, body: { items: [...log] } }
    },
    async close() {},
  }
}

test('a head that signs nothing but that the log was read is left out, unless heads are what was asked for', async () => {
  const methods = ['call', 'head', 'audit.query', 'head', 'head', 'call', 'head']
  expect((await tail(read(...methods), true)).out).toEqual(['call', 'head', 'call', 'head'])
  expect((await tail(read(...methods), true, 'head')).out.filter((method) => method === 'head')).toHaveLength(4)
})
