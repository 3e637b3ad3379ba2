import { describe, expect, it } from 'vitest'
import { base32, otpauthUri, stepAt, stepOf, totpCode } from './totp.ts'

/** The secret of RFC 6238, appendix B, for SHA-1. */
const secret = Buffer.from('12345678901234567890')

describe('a one-time password', () => {
  it.each([
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ])('AD-06: is the one of RFC 6238, appendix B, at %i seconds', (seconds, code) => {
    const step = stepAt(seconds * 1_000)
    expect(totpCode(secret, step, 8)).toBe(code)
    expect(totpCode(secret, step)).toBe(code.slice(2))
    expect(stepOf(secret, code.slice(2), seconds * 1_000)).toBe(step)
  })

  it.each([
    [0, '755224'],
    [1, '287082'],
    [9, '520489'],
  ])('AD-06: is the one of RFC 4226, appendix D, for the count %i', (count, code) => {
    expect(totpCode(secret, count)).toBe(code)
  })

  it('AD-06: is good in its own step, the one before and the one after, and in no other', () => {
    const middle = 60_000_000
    const code = totpCode(secret, middle)
    const at = (step: number, ms = 0) => stepOf(secret, code, step * 30_000 + ms)
    expect([at(middle - 1), at(middle), at(middle + 1, 29_999)]).toEqual([middle, middle, middle])
    expect([at(middle - 2, 29_999), at(middle + 2)]).toEqual([undefined, undefined])
  })

  it.each(['', '0', '12345', '1234567', '12345x', '１２３４５６', '\u0000'])('is not %j', (typed) => {
    expect(stepOf(secret, typed, 59_000)).toBeUndefined()
  })

  it.each([
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])('has its secret in base 32 as RFC 4648 writes %j', (text, written) => {
    expect(base32(Buffer.from(text))).toBe(written)
  })

  it('tells an app its issuer and its account, whatever they are called', () => {
    expect(otpauthUri(secret, 'my server', 'ann+x@example.com')).toBe(
      'otpauth://totp/my%20server:ann%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=my%20server&algorithm=SHA1&digits=6&period=30',
    )
    const { searchParams } = new URL(otpauthUri(secret, 'a&secret=b', 'x?y#z'))
    expect([searchParams.getAll('secret').length, searchParams.get('issuer')]).toEqual([1, 'a&secret=b'])
  })
})
