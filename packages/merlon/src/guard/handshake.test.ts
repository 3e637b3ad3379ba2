import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { Tickets, ticketMs } from '../identity/tickets.ts'
import { arrivalOf, gateWith, limiterWith, now, principalWith } from './arrival.fixture.ts'
import type { Gate } from './gate.ts'
import { socketOpen } from './pipeline.ts'

const page = 'https://app.example'
const usual: IncomingHttpHeaders = {
  host: 'localhost:4000',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol': 'mcp',
  'x-api-key': 'good',
}

interface Asked {
  readonly headers?: IncomingHttpHeaders
  readonly verb?: string
  readonly gate?: Partial<Gate>
  readonly tickets?: Tickets
}

/** What becomes of a request that asks for a socket: the Fault, or what was proved. */
async function ask({ headers = {}, verb = 'GET', gate = {}, tickets = new Tickets(randomBytes) }: Asked) {
  const all = Object.fromEntries(Object.entries({ ...usual, ...headers }).filter(([, value]) => value !== undefined))
  const call = arrivalOf({ verb, headers: all }, gateWith(gate))
  try {
    return { passed: await socketOpen(tickets).run(call) }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    return { code: thrown.code, reason: thrown.detail.reason }
  }
}

test('a credential in a header opens a socket, and is kept as it came', async () => {
  expect((await ask({})).passed?.opened).toEqual({ credential: 'good', scheme: 'header' })
  const bearer = { 'x-api-key': undefined, authorization: 'Bearer good' }
  expect((await ask({ headers: bearer })).passed?.opened).toEqual({ credential: 'good', scheme: 'bearer' })
})

test('a proof of possession is for the handshake, and the socket goes on as proven', async () => {
  const seen: string[] = []
  const verify: Gate['verify'] = (credential, _call, scheme) => {
    seen.push(scheme)
    return { ok: true, principal: { ...principalWith(['read']), credential } }
  }
  const headers = { 'x-api-key': undefined, authorization: 'DPoP token', dpop: 'a proof' }
  expect((await ask({ headers, gate: { verify } })).passed?.opened).toEqual({ credential: 'token', scheme: 'proven' })
  expect(seen).toEqual(['dpop'])
})

describe('WS-01: the guard that stands first answers, whatever is wrong behind it', () => {
  const drained = limiterWith([{ callsMax: 1 }])
  void drained.takeRefused(principalWith(['read', 'write']), 'mcp', now)
  const wrong: readonly (readonly [string, Asked, string])[] = [
    ['limit', { gate: { limiter: drained } }, 'rate.exceeded'],
    ['credential', { headers: { 'x-api-key': 'bad' } }, 'credential.invalid'],
    ['load', { gate: { refusing: () => 'server.draining' } }, 'server.draining'],
    ['subprotocol', { headers: { 'sec-websocket-protocol': 'other' } }, 'handshake.refused'],
    ['version', { headers: { 'sec-websocket-version': '8' } }, 'handshake.refused'],
    ['method', { verb: 'POST' }, 'verb.refused'],
    ['upgrade', { headers: { upgrade: 'h2c' } }, 'target.refused'],
    ['hidden page', { headers: { 'sec-fetch-site': 'cross-site' } }, 'origin.refused'],
    ['host', { headers: { host: 'evil.example' } }, 'host.refused'],
  ]
  test.each(wrong.map(([name, , code], at) => [name, at, code] as const))('%s', async (_, at, code) => {
    const all = wrong.slice(0, at + 1).map(([, asked]) => asked)
    const headers = Object.assign({}, ...all.map((asked) => asked.headers))
    const gate = Object.assign({}, ...all.map((asked) => asked.gate))
    const verb = all.find((asked) => asked.verb !== undefined)?.verb ?? 'GET'
    expect(await ask({ headers, gate, verb })).toMatchObject({ code })
  })
})

test('WS-01: a browser that hides which page asks opens none', async () => {
  expect(await ask({ headers: { 'sec-fetch-site': 'same-site' } })).toMatchObject({ code: 'origin.refused' })
  expect(await ask({ headers: { 'sec-fetch-site': 'same-site', origin: page } })).toHaveProperty('passed')
})

describe('WS-06: the list of subprotocols', () => {
  test.each(['mcp', 'mcp, other', 'other,mcp', ' mcp '])('%s has ours in it', async (offer) => {
    expect(await ask({ headers: { 'sec-websocket-protocol': offer } })).toHaveProperty('passed')
  })
  test.each(['', 'MCP', 'mcp2', 'mcp mcp', 'mcp;x', 'mcp, mcp', 'mcp,', undefined])('%s does not', async (offer) => {
    expect(await ask({ headers: { 'sec-websocket-protocol': offer } })).toMatchObject({
      code: 'handshake.refused',
      reason: 'protocol',
    })
  })
})

describe('WS-02: a ticket', () => {
  const principal = principalWith(['read', 'write'])
  const shown = (ticket: string, more: IncomingHttpHeaders = {}): IncomingHttpHeaders => ({
    'x-api-key': undefined,
    'sec-websocket-protocol': `mcp, mcp.ticket.${ticket}`,
    origin: page,
    ...more,
  })
  const given = (credential = 'good', at = now) => {
    const tickets = new Tickets(randomBytes)
    return { tickets, ticket: tickets.give({ credential, scheme: 'bearer' }, principal, page, at) }
  }

  test('stands for its credential, once', async () => {
    const { tickets, ticket } = given()
    const first = await ask({ headers: shown(ticket), tickets })
    expect(first.passed?.opened).toEqual({ credential: 'good', scheme: 'bearer' })
    expect(await ask({ headers: shown(ticket), tickets })).toEqual({ code: 'credential.invalid', reason: 'ticket' })
  })

  test.each([
    ['that is not known', () => 'x', {}, 'ticket'],
    ['of another page', (ticket: string) => ticket, { origin: undefined }, 'ticket'],
    ['and another', (ticket: string) => `${ticket}, mcp.ticket.${ticket}x`, {}, 'ticket'],
  ])('%s is a bad credential', async (_, change, more, reason) => {
    const { tickets, ticket } = given()
    expect(await ask({ headers: shown(change(ticket), more), tickets })).toEqual({ code: 'credential.invalid', reason })
  })

  test('that is too old is a bad credential, and so is one whose credential is good no longer', async () => {
    const old = given('good', now - ticketMs)
    expect(await ask({ headers: shown(old.ticket), tickets: old.tickets })).toMatchObject({ reason: 'ticket' })
    const revoked = given('revoked')
    const answer = await ask({ headers: shown(revoked.ticket), tickets: revoked.tickets })
    expect(answer).toEqual({ code: 'credential.invalid', reason: 'unknown' })
  })

  test('stands for nobody but who asked for it', async () => {
    const { tickets, ticket } = given()
    const verify: Gate['verify'] = () => ({ ok: true, principal: { ...principal, binding: 'another' } })
    const later: Gate['verify'] = async (...shown) => verify(...shown)
    const answer = await ask({ headers: shown(ticket), tickets, gate: { verify } })
    expect(answer).toEqual({ code: 'credential.invalid', reason: 'other-principal' })
    const again = given()
    expect(await ask({ headers: shown(again.ticket), tickets: again.tickets, gate: { verify: later } })).toEqual(answer)
  })

  test.each(['x-api-key', 'authorization'])('beside %s is refused, and not taken', async (name) => {
    const { tickets, ticket } = given()
    const both = await ask({ headers: shown(ticket, { [name]: 'Bearer good' }), tickets })
    expect(both).toMatchObject({ code: 'credential.doubled' })
    expect(await ask({ headers: shown(ticket), tickets })).toHaveProperty('passed')
  })

  test('counts as a failed authentication where it is wrong', async () => {
    const gate = { limiter: limiterWith([], 2) }
    const codes = []
    for (let at = 0; at < 3; at++) codes.push((await ask({ headers: shown('x'), gate })).code)
    expect(codes).toEqual(['credential.invalid', 'credential.invalid', 'rate.exceeded'])
  })

  test('nobody holds more than ten at once, all together no more than there is room for, and old ones make room', () => {
    const tickets = new Tickets(randomBytes, 15)
    const give = (binding: string, at = now) =>
      tickets.give({ credential: 'good', scheme: 'bearer' }, { ...principal, binding }, page, at)
    for (let held = 0; held < 10; held++) give('one')
    expect(() => give('one')).toThrow('capacity.exceeded')
    for (let held = 0; held < 5; held++) give('two')
    expect(() => give('three')).toThrow('capacity.exceeded')
    expect(give('one', now + ticketMs)).toMatch(/^[\w-]{43}$/)
  })
})
