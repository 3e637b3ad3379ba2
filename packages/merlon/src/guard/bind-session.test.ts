import { describe, expect, test } from 'vitest'
import type { Message, Principal } from '../call.ts'
import type { Method } from '../method.ts'
import type { Session, SessionStore } from '../session/session-store.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { arrivalOf, gateWith, now, principalWith, type Sent } from './arrival.fixture.ts'
import { bindNamedSession, bindSession } from './bind-session.ts'

const alice = principalWith(['read'])
const bob: Principal = { ...alice, id: 'u2', binding: 't1 user u2 key_2' }
const caps = { perPrincipal: 9, perTenant: 9, total: 9 }
const session: Session = {
  id: 'session-of-alice',
  tenant: 't1',
  binding: alice.binding,
  principal: alice.id,
  credential: alice.credential,
  version: '2025-06-18',
  client: { name: 'c', version: '1', capabilities: { roots: {} } },
  openedAt: now,
  expiresAt: now + 1_000,
  logLevel: 'error',
  subscriptions: undefined,
}
const storeWith = (...sessions: Session[]): SessionStore => {
  const store = new MemorySessionStore(1_000_000)
  for (const each of sessions) store.open(each, caps, now)
  return store
}
const later = (store: SessionStore): SessionStore => ({ ...store, find: async (...asked) => store.find(...asked) })

const plain = (name: string, needsSession: boolean): [string, Method] => [
  name,
  { name, needsSession, audit: 'access', target: () => undefined, unknown: () => expect.unreachable() },
]
const methods = {
  stateless: new Map(),
  stateful: new Map([plain('ping', false), plain('tools/list', true), plain('initialize', false)]),
}
const client = { name: 'self', version: undefined, capabilities: {} }

type Asked = {
  principal?: Principal
  message?: Message
  headers?: Sent['headers']
  sessions?: SessionStore
  at?: number
  version?: string
}
const callOf = ({
  principal = alice,
  message = request('tools/list'),
  headers = {},
  sessions = storeWith(session),
  at = now,
  version = '2025-11-25',
}: Asked) => {
  const gate = gateWith({ sessions, methods, clock: () => at })
  const revision = version === '2026-07-28' ? gate.stateless : gate.stateful.get(version)!
  return {
    ...arrivalOf({ headers }, gate),
    principal,
    message,
    envelope: { revision, client, progressToken: 5, logLevel: undefined, trace },
  }
}
const trace = { traceId: 'a'.repeat(32), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
const bind = (asked: Asked) => bindSession(callOf(asked))
const bindNamed = (asked: Asked) => bindNamedSession(callOf(asked))
const request = (method: string): Message => ({ kind: 'request', id: 1, method, params: {} })
const refused = (code: string) => expect.objectContaining({ code })
const headers = { 'mcp-session-id': session.id }

describe('bindSession', () => {
  test('finds the session of the principal that opened it, and speaks as it was opened', () => {
    expect(bind({ headers })).toMatchObject({
      session: { id: session.id },
      envelope: {
        revision: { version: '2025-06-18' },
        client: { name: 'c', capabilities: { roots: {} } },
        progressToken: 5,
        logLevel: 'error',
        trace,
      },
    })
    expect(bindNamed({ headers })).toEqual({ session })
  })

  test('SE-10: a session of somebody else, an ended, an expired and an unknown one are refused alike', async () => {
    const ended = storeWith(session)
    ended.end(session.id, alice.binding, now)
    const cases: Asked[] = [
      { headers, principal: bob },
      { headers, sessions: ended },
      { headers, at: session.expiresAt },
      { headers: { 'mcp-session-id': 'no-such-session' } },
      { headers: { 'mcp-session-id': '' } },
      { headers: { 'mcp-session-id': 'constructor' } },
      { headers: { 'mcp-session-id': 'x'.repeat(129) } },
    ]
    for (const asked of cases) {
      expect(() => bind(asked)).toThrow(refused('session.unknown'))
      expect(() => bindNamed(asked)).toThrow(refused('session.unknown'))
      const slow = { ...asked, sessions: later(asked.sessions ?? storeWith(session)) }
      await expect((async () => bind(slow))()).rejects.toMatchObject({ code: 'session.unknown' })
      await expect((async () => bindNamed(slow))()).rejects.toMatchObject({ code: 'session.unknown' })
    }
  })

  test('SE-02: a session is asked for on every call but initialize and ping', () => {
    expect(() => bind({})).toThrow(refused('session.missing'))
    expect(() => bind({ message: request('no/such/method') })).toThrow(refused('session.missing'))
    expect(() => bind({ message: { kind: 'notification', method: 'notifications/initialized', params: {} } })).toThrow(
      refused('session.missing'),
    )
    expect(() => bind({ message: { kind: 'response', id: 1, result: {} } })).toThrow(refused('session.missing'))
    expect(() => bindNamed({})).toThrow(refused('session.missing'))
    expect(bind({ message: request('ping') })).toEqual({ session: undefined })
    expect(bind({ message: request('initialize') })).toEqual({ session: undefined })
  })

  test('SE-01: initialize takes no session from the client', () => {
    expect(bind({ message: request('initialize'), headers })).toEqual({ session: undefined })
    expect(bind({ message: request('initialize'), headers: { 'mcp-session-id': 'chosen' } })).toEqual({
      session: undefined,
    })
  })

  test('a ping with a session that is not there is refused', () => {
    expect(() => bind({ message: request('ping'), headers: { 'mcp-session-id': 'gone' } })).toThrow(
      refused('session.unknown'),
    )
  })

  test('TR-19: the stateless revision has no session, whatever a header says', () => {
    expect(bind({ headers, version: '2026-07-28' })).toEqual({ session: undefined })
    const stateless = { ...headers, 'mcp-protocol-version': '2026-07-28' }
    expect(() => bindNamed({ headers: stateless })).toThrow(
      expect.objectContaining({ code: 'verb.refused', detail: { allow: 'POST, OPTIONS' } }),
    )
  })

  test('SE-12: another version than the session was opened with is refused', () => {
    const other = { ...headers, 'mcp-protocol-version': '2025-11-25' }
    expect(() => bind({ headers: other })).toThrow(refused('session.revision'))
    expect(() => bindNamed({ headers: other })).toThrow(refused('session.revision'))
    expect(bindNamed({ headers: { ...headers, 'mcp-protocol-version': '2025-06-18' } })).toEqual({ session })
  })

  test('a store that is out of reach is an outage, not an unknown session', async () => {
    const down: SessionStore = { ...storeWith(), find: () => Promise.reject(new Error('down')) }
    await expect((async () => bind({ headers, sessions: down }))()).rejects.toThrow('down')
  })
})
