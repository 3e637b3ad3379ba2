import { describe, expect, test } from 'vitest'
import type { Principal } from '../call.ts'
import { defineResource, defineTool } from '../catalog/define.ts'
import { scopeSet } from '../policy/scopes.ts'
import type { Request } from './ready.ts'
import { checkReplay, decodeAbout, encodeAbout, mayHear } from './replay.ts'
import { alice, serverWith } from './server.fixture.ts'

const request = (method: string, params: Request['params'], id: Request['id'] = 7): Request => ({
  kind: 'request',
  id,
  method,
  params,
})
const tool = (name: string, scope: string) =>
  defineTool({ name, description: name, input: { type: 'object' }, scope, run: () => name })
const notes = defineResource({
  uri: 'note://one',
  name: 'one',
  description: 'A note.',
  scope: 'files:read',
  read: () => 'x',
})
const server = serverWith([tool('writes', 'write'), tool('rules', 'admin'), notes])
const withScopes = (granted: readonly string[], effective = granted): Principal => ({
  ...alice,
  granted: scopeSet(granted),
  effective: scopeSet(effective),
})
const check = (principal: Principal, method: string, params: Request['params'] = {}) =>
  checkReplay(server.services, principal, decodeAbout(encodeAbout(request(method, params))))

describe('what a stream answers', () => {
  test('is kept as its id, its method, and what it is about', () => {
    const params = { name: 'writes', arguments: { secret: 1 }, _meta: { progressToken: 'p' } }
    expect(decodeAbout(encodeAbout(request('tools/call', params, 'é"\u2028')))).toEqual({
      id: 'é"\u2028',
      method: 'tools/call',
      params: { name: 'writes' },
    })
  })

  test('RL-17: is bounded, and what is too long to keep is not given out again', () => {
    const long = encodeAbout(request('resources/read', { uri: `note://${'x'.repeat(100_000)}` }))
    expect(long.length).toBeLessThan(200)
    expect(() => checkReplay(server.services, alice, decodeAbout(long))).toThrow(
      expect.objectContaining({ code: 'session.unknown' }),
    )
  })
})

describe('EV-03: whoever comes back for an answer', () => {
  test('gets it while they may make the call', () => {
    check(alice, 'tools/call', { name: 'writes' })
    check(alice, 'tools/list')
    check(withScopes(['files:read']), 'resources/read', { uri: 'note://one' })
  })

  test('is told the scope where the credential lacks it now', () => {
    expect(() => check(withScopes(['read', 'write'], ['read']), 'tools/call', { name: 'writes' })).toThrow(
      expect.objectContaining({ code: 'scope.missing', detail: expect.objectContaining({ scope: 'write' }) }),
    )
  })

  test.each([
    ['a tool that the role reaches no more', () => check(alice, 'tools/call', { name: 'rules' })],
    ['a tool that is there no more', () => check(alice, 'tools/call', { name: 'gone' })],
    ['a method that is not there', () => check(alice, 'nothing/there')],
    ['a call without a name', () => check(alice, 'tools/call')],
    ['a resource that may not be read', () => check(alice, 'resources/read', { uri: 'note://one' })],
  ])('gets the answer for what is not there: %s', (_, attempt) => {
    expect(attempt).toThrow(expect.objectContaining({ code: 'session.unknown' }))
  })
})

test('EV-03: news of a resource reach who may read it, and other messages everybody', () => {
  const news = '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"note://one"}}'
  const said = '{"jsonrpc":"2.0","method":"x","params":{"text":"\\"notifications/resources/updated\\""}}'
  expect(mayHear(server.services, withScopes(['files:read']))(news)).toBe(true)
  expect(mayHear(server.services, alice)(news)).toBe(false)
  expect(mayHear(server.services, alice)(said)).toBe(true)
  expect(mayHear(server.services, alice)('{"method":"notifications/tools/list_changed"}')).toBe(true)
})
