import type { IncomingHttpHeaders } from 'node:http'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrivalOf } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { accepts, checkMedia, checkStreamAccept } from './check-media.ts'

const good = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const check = (headers: IncomingHttpHeaders) => checkMedia(arrivalOf({ headers }))
const refused = (code: string) => expect.objectContaining({ code })

describe('checkMedia', () => {
  test.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json; charset=UTF-8',
    'application/json ; charset="utf-8"',
  ])('TR-11: %j passes', (type) => expect(check({ ...good, 'content-type': type })).toBe(proved))

  test.each([
    undefined,
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json5',
    'application/jsonp',
    'application/problem+json',
    'application/json, text/plain',
    'text/plain, application/json',
    'application/json;',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; x=y',
    'application/json\ttext/plain',
    'application/json;\tcharset=utf-8',
    'application/json; a=application/json',
    ' application/json',
    'application/ json',
    'text/plain; application/json',
    '*/*',
  ])('TR-11: %j is refused', (type) => {
    expect(() => check({ ...good, 'content-type': type })).toThrow(refused('media-type.refused'))
  })

  test('RL-12: a body in any encoding is refused', () => {
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'x', ''])
      expect(() => check({ ...good, 'content-encoding': encoding })).toThrow(refused('media-type.refused'))
    for (const encoding of ['identity', 'Identity'])
      expect(check({ ...good, 'content-encoding': encoding })).toBe(proved)
  })

  test('a client that cannot read both forms of an answer is refused', () => {
    for (const accept of [
      'application/json',
      'text/event-stream',
      'text/html',
      'application/json;q=0, text/event-stream',
      '',
    ])
      expect(() => check({ ...good, accept })).toThrow(refused('accept.unsuitable'))
    for (const accept of [
      undefined,
      '*/*',
      'text/event-stream,application/json',
      'application/*, text/*;q=0.1',
      'text/html, */*;q=0.8',
    ])
      expect(check({ ...good, accept })).toBe(proved)
  })

  test('a GET has to ask for a stream', () => {
    const get = (accept: string | undefined) => checkStreamAccept(arrivalOf({ verb: 'GET', headers: { accept } }))
    for (const accept of [undefined, 'text/event-stream', 'Text/Event-Stream; q=1', '*/*'])
      expect(get(accept)).toBe(proved)
    for (const accept of ['application/json', 'text/event-stream;q=0', 'text/event-streams', ''])
      expect(() => get(accept)).toThrow(refused('accept.unsuitable'))
  })
})

describe('accepts (RFC 9110 §12.5.1)', () => {
  const range = fc.constantFrom(
    'application/json',
    'application/*',
    '*/*',
    'text/html',
    'application/jsonx',
    'application/xml',
  )
  const weight = fc.constantFrom('', ';q=1', '; q=0.5', ';q=0', '; Q=0.000', ';level=1', '; level=1; q=0')

  test('admits a type exactly where a range of it has a weight', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(range, weight), { maxLength: 5 }), (ranges) => {
        const header = ranges.map(([name, parameters]) => name + parameters).join(', ')
        const admitted = ranges.some(
          ([name, parameters]) =>
            ['application/json', 'application/*', '*/*'].includes(name) && !/q=0(?:\.0+)?$/i.test(parameters),
        )
        expect(accepts(header, 'application', 'json')).toBe(admitted)
      }),
    )
  })
})
