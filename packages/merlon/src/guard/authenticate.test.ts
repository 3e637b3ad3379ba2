import type { IncomingHttpHeaders } from 'node:http'
import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { arrivalOf, gateWith, limiterWith, now, principalWith } from './arrival.fixture.ts'
import { authenticate } from './authenticate.ts'

const from = { address: '192.0.2.1', requestId: 'r1' }
const call = (headers: IncomingHttpHeaders, gate = gateWith()) => ({ ...arrivalOf({ headers }, gate), ...from })
const show = (headers: IncomingHttpHeaders, gate = gateWith()) => authenticate(call(headers, gate))
const refused = (code: string) => expect.objectContaining({ code })

describe('authenticate', () => {
  test('AK-05: takes a credential from Authorization: Bearer or X-API-Key', () => {
    for (const headers of [
      { authorization: 'Bearer good' },
      { authorization: 'bearer good' },
      { authorization: 'BEARER good' },
      { 'x-api-key': 'good' },
    ])
      expect(show(headers)).toMatchObject({ principal: { id: 'u1' } })
  })

  test('AK-05: takes it from nowhere else: a request without either has no credential', () => {
    for (const headers of [
      {},
      { cookie: 'x-api-key=good; authorization=Bearer good' },
      { 'proxy-authorization': 'Bearer good' },
      { 'sec-websocket-protocol': 'good' },
    ])
      expect(() => show(headers)).toThrow(refused('credential.missing'))
    const inQuery = { ...arrivalOf({ url: '/mcp?api_key=good&access_token=good' }), ...from }
    expect(() => authenticate(inQuery)).toThrow(refused('credential.missing'))
  })

  test.each<[string, IncomingHttpHeaders]>([
    ['an unknown one', { 'x-api-key': 'bad' }],
    ['an empty X-API-Key', { 'x-api-key': '' }],
    ['an empty Authorization', { authorization: '' }],
    ['Bearer without anything', { authorization: 'Bearer' }],
    ['Bearer and a space', { authorization: 'Bearer ' }],
    ['Bearer and two spaces', { authorization: 'Bearer  good' }],
    ['Bearer and a tab', { authorization: 'Bearer\tgood' }],
    ['another scheme', { authorization: 'Basic good' }],
    ['no scheme', { authorization: 'good' }],
    ['a longer scheme', { authorization: 'Bearers good' }],
    ['two credentials in one header', { 'x-api-key': 'good, good' }],
    ['a list of headers', { 'x-api-key': ['good', 'good'] }],
    ['a name that every object has', { 'x-api-key': 'constructor' }],
    ['the name of a prototype', { authorization: 'Bearer __proto__' }],
    ['one that is too long', { 'x-api-key': 'x'.repeat(8_193) }],
  ])('A1: %s is invalid, with one answer for all', (_, headers) => {
    const thrown = (() => {
      try {
        show(headers)
      } catch (error) {
        return error as Fault
      }
      return undefined
    })()
    expect(thrown).toBeInstanceOf(Fault)
    expect([thrown?.code, thrown?.sentence, thrown?.detail.data]).toEqual([
      'credential.invalid',
      'Invalid API key',
      undefined,
    ])
  })

  test('two credentials are refused before either is looked at', () => {
    let looked = 0
    const gate = gateWith({
      verify: () => {
        looked++
        return { ok: true, principal: principalWith(['read']) }
      },
    })
    for (const [authorization, key] of [
      ['Bearer good', 'good'],
      ['', ''],
      ['Basic x', 'good'],
    ])
      expect(() => show({ authorization, 'x-api-key': key }, gate)).toThrow(refused('credential.doubled'))
    expect(looked).toBe(0)
  })

  test('one that is too long is not looked up', () => {
    const gate = gateWith({ verify: () => expect.unreachable() })
    expect(() => show({ 'x-api-key': 'x'.repeat(8_193) }, gate)).toThrow(refused('credential.invalid'))
  })

  test('a verdict that takes time is waited for', async () => {
    const later = gateWith({
      verify: async (credential) =>
        credential === 'good'
          ? { ok: true, principal: principalWith(['read']) }
          : { ok: false, reason: 'revoked', credential: 'key_1' },
    })
    expect(await show({ 'x-api-key': 'good' }, later)).toMatchObject({ principal: { id: 'u1' } })
    await expect(show({ 'x-api-key': 'bad' }, later)).rejects.toMatchObject({
      code: 'credential.invalid',
      detail: { reason: 'revoked' },
    })
  })

  test('an outage while checking is an outage, never a bad credential, and is not counted as a guess', async () => {
    const limiter = limiterWith([], 1)
    const down = gateWith({ limiter, verify: async () => Promise.reject(new Fault('store.unavailable')) })
    for (let attempt = 0; attempt < 3; attempt++)
      await expect(show({ 'x-api-key': 'good' }, down)).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(await limiter.takeFailure(from.address, undefined, now)).toMatchObject({ ok: true })
  })

  test('RL-04: after ten failures of an address guesses are answered 429, and a good credential still passes', () => {
    const gate = gateWith()
    for (let guess = 0; guess < 10; guess++)
      expect(() => show({ 'x-api-key': `guess-${guess}` }, gate)).toThrow(refused('credential.invalid'))
    expect(() => show({ 'x-api-key': 'guess' }, gate)).toThrow(
      expect.objectContaining({
        code: 'rate.exceeded',
        detail: {
          retryAfterMs: 6_000,
          reason: 'failed-authentication',
          limit: expect.objectContaining({ name: 'failures', callsMax: 10, windowMs: 60_000 }),
        },
      }),
    )
    expect(show({ 'x-api-key': 'good' }, gate)).toMatchObject({ principal: { id: 'u1' } })
    const elsewhere = { ...call({ 'x-api-key': 'guess' }, gate), address: '192.0.2.2' }
    expect(() => authenticate(elsewhere)).toThrow(refused('credential.invalid'))
  })

  test('RL-03: failures of one IPv6 network are counted together', () => {
    const gate = gateWith({ limiter: limiterWith([], 1) })
    const guess = (address: string) => () => authenticate({ ...call({ 'x-api-key': 'bad' }, gate), address })
    expect(guess('2001:db8:1:2::1')).toThrow(refused('credential.invalid'))
    expect(guess('2001:db8:1:2:ffff::9')).toThrow(refused('rate.exceeded'))
    expect(guess('2001:db8:1:3::1')).toThrow(refused('credential.invalid'))
  })

  test('a request without a credential, or with two, is no guess', () => {
    const gate = gateWith({ limiter: limiterWith([], 1) })
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(() => show({}, gate)).toThrow(refused('credential.missing'))
      expect(() => show({ authorization: 'Bearer a', 'x-api-key': 'b' }, gate)).toThrow(refused('credential.doubled'))
    }
    expect(() => show({ 'x-api-key': 'bad' }, gate)).toThrow(refused('credential.invalid'))
  })
})
