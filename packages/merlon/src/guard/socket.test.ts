import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import type { Verdict } from '../identity/verdict.ts'
import type { Limiter } from '../limit/limiter.ts'
import { LineCall } from '../transport/line-call.ts'
import { gateWith, limiterWith, now, principalWith } from './arrival.fixture.ts'
import type { Gate } from './gate.ts'
import { noHead } from './local.ts'
import { socketMessage } from './pipeline.ts'
import type { SocketHost } from './socket.ts'

const principal = principalWith(['read', 'write'])
const host: SocketHost = {
  credential: 'good',
  scheme: 'header',
  address: '192.0.2.1',
  binding: principal.binding,
  head: noHead,
  leaving: false,
  sessionId: undefined,
  isAnswering: () => false,
}
const _meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const unknown = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'unknown/method', params: { _meta } })

async function codeOf(body: string, gate: Partial<Gate> = {}, change: Partial<SocketHost> = {}) {
  const call = new LineCall(gateWith(gate), { ...host, ...change }, Buffer.from(body))
  try {
    await socketMessage.run(call)
    return 'passed'
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    return thrown.detail.reason === undefined ? thrown.code : `${thrown.code} ${thrown.detail.reason}`
  }
}

/** Counts messages over sockets alone, of which so many are left. */
function messagesLeft(count: number): Limiter {
  const limiter = limiterWith()
  let left = count
  const limit = { name: 'messages', callsMax: count, windowMs: 60_000 } as never
  return Object.assign(limiter, {
    takeMessage: () =>
      left-- > 0
        ? { ok: true, limit, remaining: left, refillMs: 1 }
        : { ok: false, limit, remaining: 0, retryAfterMs: 60 },
  })
}

describe('WS-03: every message is asked about like the first', () => {
  test('one of the credential that opened the socket is taken as far as its method', async () => {
    expect(await codeOf(unknown)).toBe('method.unknown')
  })

  test.each<[string, () => Verdict, string]>([
    ['is good no longer', () => ({ ok: false, reason: 'revoked', credential: 'key_1' }), 'credential.invalid revoked'],
    [
      'is somebody else now',
      () => ({ ok: true, principal: { ...principal, binding: 'another' } }),
      'credential.invalid other-principal',
    ],
  ])('whose credential %s is refused, at once or later', async (_, verdict, code) => {
    expect(await codeOf(unknown, { verify: verdict })).toBe(code)
    expect(await codeOf(unknown, { verify: async () => verdict() })).toBe(code)
  })

  test('the credential is shown as it was, from the address that the socket was opened from', async () => {
    const shown: unknown[] = []
    const verify: Gate['verify'] = (credential, { address, head }, scheme) => {
      shown.push([credential, address, scheme, head.certificateThumbprint])
      return { ok: true, principal }
    }
    await codeOf(unknown, { verify }, { scheme: 'proven', head: { ...noHead, certificateThumbprint: 'print' } })
    expect(shown).toEqual([['good', '192.0.2.1', 'proven', 'print']])
  })

  test('a store that cannot be asked is no reason to let it in', async () => {
    const verify: Gate['verify'] = () => Promise.reject(new Fault('store.unavailable'))
    expect(await codeOf(unknown, { verify })).toBe('store.unavailable')
  })

  test('messages count before they are read, and whatever is in them', async () => {
    const limiter = messagesLeft(1)
    expect(await codeOf('nonsense', { limiter })).toMatch(/^body\.malformed/)
    expect(await codeOf('nonsense', { limiter })).toBe('rate.exceeded messages')
  })

  test('what a principal that has nothing left sends is not read', async () => {
    const limiter = limiterWith([{ callsMax: 1 }])
    void limiter.takeRefused(principal, 'mcp', now)
    expect(await codeOf('nonsense', { limiter })).toMatch(/^rate\.exceeded/)
  })
})

test('a socket that is about to close takes no new request, and hears what is said of those under way', async () => {
  expect(await codeOf(unknown, {}, { leaving: true })).toBe('server.draining')
  const cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
  expect(await codeOf(cancelled, {}, { leaving: true })).toBe('passed')
})
