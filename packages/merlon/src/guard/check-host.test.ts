import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { arrivalOf, gateWith } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { checkHost, isHost } from './check-host.ts'

const check = (host: string | undefined, hosts: ReadonlySet<string> | undefined = gateWith().hosts) =>
  checkHost(arrivalOf({ headers: host === undefined ? {} : { host } }, gateWith({ hosts })))
const refused = expect.objectContaining({ code: expect.stringMatching(/^host\.(?:refused|malformed)$/) })

const allowed = ['localhost:4000', '127.0.0.1:4000', '[::1]:4000']
/** Names that a URL parser, a resolver or a reader takes for an allowed one. */
const lookAlikes = [
  'x@localhost:4000',
  'localhost:4000@x',
  'localhost:4000/evil',
  'localhost#e:4000',
  'localhost?x:4000',
  'http://localhost:4000',
  'localhost.evil.example:4000',
  'evil-localhost:4000',
  'localhost.:4000',
  'localhost..:4000',
  '.localhost:4000',
  '127.1:4000',
  '127.0.1:4000',
  '2130706433:4000',
  '0x7f000001:4000',
  '0x7f.0.0.1:4000',
  '0177.0.0.1:4000',
  '127.0.0.1.:4000',
  '127.000.000.001:4000',
  '0:4000',
  '0.0.0.0:4000',
  '①②⑦.0.0.1:4000',
  '１２７.0.0.1:4000',
  'ｌocalhost:4000',
  'localhoſt:4000',
  'localhost：4000',
  'local\u00adhost:4000',
  '127。0。0。1:4000',
  'localhost',
  'localhost:',
  'localhost:04000',
  'localhost:+4000',
  'localhost: 4000',
  'localhost:4000 ',
  ' localhost:4000',
  'localhost:4000:4000',
  'localhost:400',
  'localhost:40000',
  'localhost:4000,evil.example',
  'localhost:4000\t',
  'localhost\u0000:4000',
  '[::1]',
  '::1',
  '[::1]:4000]',
  '[0:0:0:0:0:0:0:1]:4000',
  '[::0001]:4000',
  '[::ffff:127.0.0.1]:4000',
  '[::1%lo]:4000',
  '[::]:4000',
  '%6cocalhost:4000',
]

describe('checkHost', () => {
  test('A8: what is on the list passes, in any case', () => {
    for (const host of [...allowed, 'LOCALHOST:4000', 'LocalHost:4000']) expect(check(host)).toBe(proved)
  })

  test.each(lookAlikes)('OH-01: %j is refused', (host) => {
    expect(() => check(host)).toThrow(refused)
  })

  test('OH-01: what is not on the list, letter by letter, is refused', () => {
    const letters = fc.constantFrom('', '.', '@', ':', '/', '0', 'x', '％', 'ﬀ', '\u200b', '[', ']', '-', ' ', '\\')
    fc.assert(
      fc.property(fc.constantFrom(...allowed), fc.nat(), fc.nat({ max: 2 }), letters, (host, at, cut, put) => {
        const where = at % (host.length + 1)
        const changed = host.slice(0, where) + put + host.slice(where + cut)
        fc.pre(!allowed.includes(changed))
        expect(() => check(changed)).toThrow(refused)
      }),
      { numRuns: 500 },
    )
  })

  test('a missing, empty or malformed Host is 400, a well-formed stranger 403', () => {
    for (const host of [undefined, '', 'a b', 'x@localhost:4000', '-a', 'a_b', 'a'.repeat(256)])
      expect(() => check(host)).toThrow(expect.objectContaining({ code: 'host.malformed' }))
    for (const host of ['evil.example', 'evil.example:4000', '[2001:db8::1]:1'])
      expect(() => check(host)).toThrow(expect.objectContaining({ code: 'host.refused' }))
  })

  test('OH-04: an empty list refuses all, and no list still holds the grammar', () => {
    expect(() => check('localhost:4000', new Set())).toThrow(expect.objectContaining({ code: 'host.refused' }))
    const anyHost = (host: string) => checkHost(arrivalOf({ headers: { host } }, gateWith({ hosts: undefined })))
    expect(anyHost('evil.example')).toBe(proved)
    expect(() => anyHost('x@y')).toThrow(expect.objectContaining({ code: 'host.malformed' }))
  })

  test('the grammar admits only ASCII without anything that a URL gives a meaning', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyText(), fc.string(), fc.string({ unit: fc.constantFrom(...'aZ09.-[]:@%/?#_ é１') })),
        (text) => {
          if (isHost(text)) expect(text).toMatch(/^[A-Za-z0-9.:[\]-]+$/)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('the grammar is decided in linear time', () => {
    expect(isHost(`${'a'.repeat(254)}!`)).toBe(false)
    expect(isHost(`${'a.-'.repeat(100_000)}!`)).toBe(false)
  })
})
