import { expect } from 'vitest'
import { localOperator } from '../../../packages/merlon/src/identity/actor.ts'
import type { AttackCase } from '../attack-case.ts'
import type { Connection } from '../connection.ts'
import type { Target } from '../harness.ts'
import { ledger } from '../project/src/ledger.ts'
import type { Person, Request } from '../request.ts'
import { call, tool } from '../request.ts'

const area = 'Revocation'
const progress = { progressToken: 'p' }

/** One stream of every kind, all open, all of this person. */
async function openStreams(target: Target, as: Person) {
  const session = await target.openSession(as)
  const requests: readonly Request[] = [
    tool('slow', {}, { as, meta: progress }),
    call('subscriptions/listen', { notifications: { toolsListChanged: true } }, { as, id: 'listening' }),
    session.stream(),
    session.request('tools/call', { name: 'slow', _meta: progress }, { id: 2 }),
  ]
  const streams = []
  for (const request of requests) {
    const stream = await target.begin(request)
    expect((await stream.begun()).status).toBe(200)
    streams.push(stream)
  }
  return { session, streams }
}

/** Streams end within five seconds of their credential. */
const ended = (stream: Connection) =>
  stream.until(() => stream.answers[0]?.complete === true || stream.closed, 'the end of a stream', 5_000)

export const revocationCases: readonly AttackCase[] = [
  {
    id: 'O-038',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a revoked key is refused at once and all its streams end; those of others go on',
    alone: true,
    send: async (target) => {
      const { session, streams } = await openStreams(target, 'A.write')
      const other = await target.begin(tool('slow', {}, { as: 'B.read', meta: progress }))
      await other.messages(1)
      const aborted = ledger().aborted.length
      await target.server.keys.revokeKey(target.key('A.write').id, localOperator)
      for (const stream of streams) {
        await ended(stream)
      }
      await target.settled(() => expect(ledger().aborted.length - aborted).toBe(2))
      expect(other.answers[0]?.complete).toBe(false)
      const seen = other.answers[0]?.messages.length ?? 0
      await other.messages(seen + 2)
      return [
        await target.send(call('tools/list', {}, { as: 'A.write' })),
        await target.send(session.request('ping')),
        await target.send(session.stream()),
        await target.send(session.end()),
      ]
    },
    expect: { status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false, reason: 'revoked' } },
  },
  {
    id: 'X-060',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key that ends takes its streams with it',
    alone: true,
    send: async (target) => {
      const { streams } = await openStreams(target, 'A.write')
      target.advance(91 * 86_400_000)
      for (const stream of streams) {
        await ended(stream)
      }
      // The honest caller's key has ended too, and with it the case: the clock goes back.
      target.advance(-91 * 86_400_000)
      return undefined
    },
  },
  {
    id: 'X-061',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key that is revoked while its body is on the way calls nothing',
    alone: true,
    send: async (target) => {
      const bytes = target.bytesOf(tool('write_note', { text: 'late' }, { as: 'A.write' }))
      const half = bytes.length - 10
      const connection = await target.connect('A.write')
      connection.write(bytes.subarray(0, half), 'POST')
      // An answer on another connection shows that the first part has been read.
      expect((await target.send(call('tools/list', {}, { as: 'A.write' }))).status).toBe(200)
      await target.server.keys.revokeKey(target.key('A.write').id, localOperator)
      await target.settled(async () => {
        expect((await target.send(call('tools/list', {}, { as: 'A.write' }))).status).toBe(401)
      })
      target.advance(2_000)
      connection.write(bytes.subarray(half))
      const answer = await connection.answer()
      if (answer === undefined) throw new Error('no answer')
      return answer
    },
    expect: { status: 401, code: 'INVALID_API_KEY' },
  },
  {
    id: 'X-062',
    area,
    requirement: ['AK-07'],
    title: 'every key of a user who is disabled is refused, and its streams end',
    alone: true,
    send: async (target) => {
      const { streams } = await openStreams(target, 'A.admin')
      await target.stores.users.updateUser('tenant-a', 'usr_tenant-a_admin', { status: 'disabled' }, {}, target.now())
      for (const stream of streams) {
        await ended(stream)
      }
      return [
        await target.send(call('tools/list', {}, { as: 'A.admin' })),
        await target.send(call('tools/list', {}, { as: 'A.limited' })),
      ]
    },
    expect: { status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false, reason: 'owner-disabled' } },
  },
]
