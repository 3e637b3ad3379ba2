import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrivalOf, gateWith, type Sent } from './arrival.fixture.ts'
import { checkOrigin } from './check-origin.ts'

const check = (sent: Sent, origins: ReadonlySet<string> | undefined = gateWith().origins) =>
  checkOrigin(arrivalOf(sent, gateWith({ origins })))
const from = (origin: string, verb = 'POST') => check({ verb, headers: { origin } })
const refused = expect.objectContaining({ code: 'origin.refused' })

describe('checkOrigin', () => {
  test('a page on the list passes and is named; a program without a page passes', () => {
    expect(from('https://app.example')).toEqual({ origin: 'https://app.example' })
    expect(check({})).toEqual({ origin: undefined })
  })

  test.each([
    'null',
    '',
    'https://app.example.',
    'https://app.example/',
    'https://app.example:443',
    'http://app.example',
    'https://APP.example',
    'https://app.example.evil.com',
    'https://evil.com/https://app.example',
    'https://appXexample',
    'https://xapp.example',
    'https://x@app.example',
    'https://app.example https://app.example',
    'https://app.example,https://app.example',
    'file://',
    'chrome-extension://app.example',
    'https://аpp.example',
    'https://app。example',
    ' https://app.example',
    'https://app.example\u0000',
    '*',
    'constructor',
  ])('OH-03: %j is refused', (origin) => {
    expect(() => from(origin)).toThrow(refused)
  })

  test('OH-02: no other text passes, on any method', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((host) => `https://${host}`),
          fc
            .tuple(fc.nat({ max: 19 }), fc.string({ minLength: 1, maxLength: 2 }))
            .map(([at, put]) => `https://app.example`.slice(0, at) + put + `https://app.example`.slice(at)),
        ),
        fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS', 'HEAD'),
        (origin, verb) => {
          fc.pre(origin !== 'https://app.example')
          expect(() => from(origin, verb)).toThrow(refused)
        },
      ),
    )
  })

  test('OH-04: an empty list refuses every page', () => {
    expect(() => check({ headers: { origin: 'https://app.example' } }, new Set())).toThrow(refused)
  })

  test('OH-08: a browser that hides its origin but says that it came from another site may only read', () => {
    const crossSite = (verb: string) => check({ verb, headers: { 'sec-fetch-site': 'cross-site' } })
    for (const verb of ['POST', 'DELETE', 'OPTIONS']) expect(() => crossSite(verb)).toThrow(refused)
    expect(crossSite('GET')).toEqual({ origin: undefined })
    for (const site of ['same-origin', 'same-site', 'none'])
      expect(check({ headers: { 'sec-fetch-site': site } })).toEqual({ origin: undefined })
  })

  test('where the check is off, no origin is named, so that none is reflected', () => {
    const anyPage = checkOrigin(
      arrivalOf({ headers: { origin: 'https://evil.example' } }, gateWith({ origins: undefined })),
    )
    expect(anyPage).toEqual({ origin: undefined })
  })
})
