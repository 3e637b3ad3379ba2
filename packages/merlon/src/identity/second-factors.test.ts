import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { openSealer } from '../sealing/seal.ts'
import type { Actor } from './actor.ts'
import { attemptsMax, minute, openPeople, type People, password, refusedWith, start } from './people.fixture.ts'
import { confirmedMs, recoveryCodesMax } from './second-factors.ts'
import { base32, stepAt, totpCode } from './totp.ts'

describe('second factors', () => {
  let people: People
  beforeEach(async () => {
    people = await openPeople()
  })

  const here = '192.0.2.1'
  const signIn = (code?: string, over: object = {}) =>
    people.signIns.signIn({ email: 'uma@example.com', password, address: here, ...(code && { code }), ...over })
  const outcome = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'ok',
      (fault) => fault.code,
    )
  /** Uma in a sign-in of hers. */
  const inside = async (code?: string): Promise<Actor & { signIn: string }> => ({
    ...people.by.uma,
    signIn: (await signIn(code)).signIn.id,
  })
  const bytesOf = (secret: string) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
    const bits = [...secret].map((each) => alphabet.indexOf(each).toString(2).padStart(5, '0')).join('')
    return Buffer.from((bits.match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2)))
  }

  async function enrol() {
    const uma = await inside()
    const begun = await people.secondFactors.begin({ password }, uma, here)
    if (!begun.ok) return expect.unreachable(begun.reason)
    const secret = bytesOf(begun.secret)
    /** The code of a step from now. */
    const code = (step = 0) => totpCode(secret, stepAt(people.state.now) + step)
    const confirmed = await people.secondFactors.confirm({ code: code() }, uma, here)
    if (!confirmed.ok) return expect.unreachable(confirmed.reason)
    return { uma, begun, code, recoveryCodes: confirmed.recoveryCodes }
  }
  const later = (ms = 30_000) => {
    people.state.now += ms
  }

  it('AD-06: are begun with the password and turned on with a code; nothing is asked for before', async () => {
    const uma = await inside()
    expect(await people.secondFactors.begin({ password: 'wrong' }, uma, here)).toEqual(refusedWith('password-wrong'))
    expect(await people.secondFactors.confirm({ code: '000000' }, uma, here)).toEqual(refusedWith('second-factor-off'))
    const begun = await people.secondFactors.begin({ password }, uma, here)
    expect(begun).toMatchObject({
      uri: expect.stringMatching(/^otpauth:\/\/totp\/test:uma%40example\.com\?secret=[A-Z2-7]{32}&issuer=test&/),
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
    })
    expect(await outcome(signIn())).toBe('ok')
    expect(await people.secondFactors.confirm({ code: '000000' }, uma, here)).toEqual(refusedWith('code-wrong'))
    const { recoveryCodes } = await enrol()
    expect(new Set(recoveryCodes).size).toBe(recoveryCodesMax)
    for (const each of recoveryCodes) expect(each).toMatch(/^(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}$/)
    expect(await people.users.get('usr_uma', people.by.uma)).toMatchObject({ user: { hasSecondFactor: true } })
    expect(await people.secondFactors.begin({ password }, await inside(recoveryCodes[0]), here)).toEqual(
      refusedWith('second-factor-on'),
    )
  })

  it('AD-06: are for a sign-in of their user: a key and the local operator have none', async () => {
    const { begin, confirm, remove, confirmSignIn, isConfirmed } = people.secondFactors
    const { uma } = people.by
    for (const attempt of [
      begin.call(people.secondFactors, { password }, uma, here),
      confirm.call(people.secondFactors, { code: '000000' }, uma, here),
      remove.call(people.secondFactors, { code: '000000' }, uma, here),
      confirmSignIn.call(people.secondFactors, { code: '000000' }, uma, here),
    ])
      expect(await attempt).toEqual(refusedWith('sign-in-unknown'))
    expect(await isConfirmed.call(people.secondFactors, uma)).toBe(true)
  })

  it('AD-06: are asked for at the next sign-in, which tells so once the password was right', async () => {
    const { code } = await enrol()
    later()
    expect(await outcome(signIn())).toBe('login.second-factor')
    expect(await outcome(signIn(undefined, { password: 'wrong' }))).toBe('login.refused')
    expect(await outcome(signIn(code(), { password: 'wrong' }))).toBe('login.refused')
    expect(await outcome(signIn('000000'))).toBe('login.refused')
    expect(await outcome(signIn(code()))).toBe('ok')
    expect(await people.stores.users.findLogin({ id: 'usr_uma' })).toMatchObject({
      secondFactor: { step: stepAt(people.state.now) },
    })
  })

  it('AD-06: a wrong code is refused as a wrong password is, to the letter', async () => {
    const { code } = await enrol()
    later()
    const refusal = (attempt: Promise<unknown>) => attempt.catch(({ code, sentence }) => [code, sentence])
    const wrong = await refusal(signIn(code(), { password: 'wrong' }))
    expect(await refusal(signIn('000000'))).toEqual(wrong)
    expect(await refusal(signIn('000000', { email: 'nobody@example.com' }))).toEqual(wrong)
  })

  it('AD-06: a code is good in its step, the one before and the one after, and once', async () => {
    const { code } = await enrol()
    expect(await outcome(signIn(code(0)))).toBe('login.refused')
    later(5 * 30_000)
    expect(await outcome(signIn(code(-2)))).toBe('login.refused')
    expect(await outcome(signIn(code(2)))).toBe('login.refused')
    expect(await outcome(signIn(code(-1)))).toBe('ok')
    expect(await outcome(signIn(code(-1)))).toBe('login.refused')
    expect(await outcome(signIn(code(1)))).toBe('ok')
    // What lies before a step that was used is used as well.
    expect(await outcome(signIn(code(0)))).toBe('login.refused')
    later()
    expect(await outcome(signIn(code(0)))).toBe('login.refused')
    expect(await outcome(signIn(code(1)))).toBe('ok')
  })

  it('AD-06: of many at once with one code one signs in', async () => {
    const { code } = await enrol()
    later()
    const outcomes = await Promise.all(Array.from({ length: attemptsMax }, () => outcome(signIn(code()))))
    expect(outcomes.filter((each) => each === 'ok')).toHaveLength(1)
  })

  it('AD-06: a recovery code is good once in the place of a code, however it is typed', async () => {
    const { recoveryCodes } = await enrol()
    const [first = '', second = '', third = ''] = recoveryCodes
    expect(await outcome(signIn(first))).toBe('ok')
    expect(await outcome(signIn(first))).toBe('login.refused')
    expect(await outcome(signIn(second.toLowerCase().replaceAll('-', ' ')))).toBe('ok')
    const uma = await inside(third)
    expect(await people.secondFactors.confirmSignIn({ code: third }, uma, here)).toEqual(refusedWith('code-wrong'))
    const kept = await people.stores.users.findLogin({ id: 'usr_uma' })
    expect(kept?.secondFactor?.recoveryCodes).toHaveLength(recoveryCodesMax - 3)
    // That of another opens nothing here, though it be the same text.
    const own = kept?.secondFactor
    expect(people.secondFactors.judge('usr_uri', own, recoveryCodes[3] ?? '')).toBeUndefined()
  })

  it('AD-05: wrong codes are counted as wrong passwords are, and the owner is not kept out', async () => {
    const { code } = await enrol()
    later()
    const stranger = (address: string) => outcome(signIn('000000', { address }))
    const seen: string[] = []
    for (let i = 0; i <= attemptsMax; i++) seen.push(await stranger(`198.51.100.${i}`))
    expect(seen).toEqual([...Array(attemptsMax).fill('login.refused'), 'rate.exceeded'])
    expect(await outcome(signIn(code()))).toBe('ok')
  })

  it('AD-05: wrong codes in a sign-in are counted, whatever they are for', async () => {
    const { uma } = await enrol()
    const seen: unknown[] = []
    for (let i = 0; i <= attemptsMax; i++) {
      const attempt = i % 2 === 0 ? people.secondFactors.confirmSignIn : people.secondFactors.remove
      seen.push(await attempt.call(people.secondFactors, { code: '000000' }, uma, here).catch(({ code }) => code))
    }
    expect(seen).toEqual([...Array(attemptsMax).fill(refusedWith('code-wrong')), 'rate.exceeded'])
  })

  it('AD-06: a sign-in counts as confirmed for ten minutes after a code, wherever it is asked', async () => {
    const { uma, code } = await enrol()
    const confirmed = () => people.secondFactors.isConfirmed(uma)
    expect(await confirmed()).toBe(true)
    later(confirmedMs - 1)
    expect(await confirmed()).toBe(true)
    later(1)
    expect(await confirmed()).toBe(false)
    const until = people.state.now + confirmedMs
    expect(await people.secondFactors.confirmSignIn({ code: code() }, uma, here)).toEqual({ ok: true, until })
    expect(await confirmed()).toBe(true)
    expect(await people.secondFactors.confirmSignIn({ code: code() }, uma, here)).toEqual(refusedWith('code-wrong'))
    expect(people.lines().slice(-2)).toEqual(['sign-in.confirm intended', 'sign-in.confirm done'])
    // A clock that is behind by more than that vouches for nothing.
    later(-2 * confirmedMs)
    expect(await confirmed()).toBe(false)
    expect(await people.secondFactors.isConfirmed({ ...uma, signIn: 'sgn_none' })).toBe(false)
  })

  it('AD-06: who has none is asked for none', async () => {
    const uma = await inside()
    expect(await people.secondFactors.isConfirmed(uma)).toBe(true)
    expect(await people.secondFactors.confirmSignIn({ code: '000000' }, uma, here)).toEqual(
      refusedWith('second-factor-off'),
    )
    expect(await outcome(signIn('000000'))).toBe('ok')
  })

  it('AD-06: are taken away by their user with a code, and by who manages the user, on record', async () => {
    const { uma, code } = await enrol()
    later()
    const { ann, bob, olga } = people.by
    expect(await people.secondFactors.remove({ code: '000000' }, uma, here)).toEqual(refusedWith('code-wrong'))
    expect(await people.secondFactors.removeOf('usr_uma', { ...uma })).toEqual(refusedWith('not-yours'))
    expect(await people.secondFactors.removeOf('usr_uma', bob)).toEqual(refusedWith('user-unknown'))
    expect(await people.secondFactors.removeOf('usr_olga', ann)).toEqual(refusedWith('not-yours'))
    expect(await people.secondFactors.removeOf('usr_ann', ann)).toEqual(refusedWith('not-yours'))
    expect(await people.secondFactors.removeOf('usr_uri', ann)).toEqual(refusedWith('second-factor-off'))
    expect(await people.secondFactors.remove({ code: code() }, uma, here)).toEqual({ ok: true })
    expect(await outcome(signIn())).toBe('ok')
    await enrol()
    expect(await people.secondFactors.removeOf('usr_uma', ann)).toEqual({ ok: true })
    expect(people.state.recorded.at(-1)).toMatchObject({
      ...{ action: 'user.second-factor-remove', outcome: 'done', by: 'usr_ann', detail: { user: 'usr_uma' } },
    })
    expect(await people.secondFactors.isConfirmed(uma)).toBe(true)
    await enrol()
    expect(await people.secondFactors.removeOf('usr_uma', olga)).toEqual({ ok: true })
  })

  it('AD-06: an administrator who gives a new password has not the second factor', async () => {
    const { code } = await enrol()
    later(minute)
    const next = 'a quite different sentence'
    expect(await people.users.setPassword('usr_uma', next, people.by.ann)).toEqual({ ok: true })
    expect(await outcome(signIn(undefined, { password: next }))).toBe('login.second-factor')
    expect(await outcome(signIn(code(), { password: next }))).toBe('ok')
  })

  it('AD-06: the one that is turned on while a password is looked at is asked for', async () => {
    const uma = await inside()
    const { verify } = people.passwords
    people.passwords.verify = async (word, digest) => {
      people.passwords.verify = verify
      const verdict = await verify.call(people.passwords, word, digest)
      await people.stores.secondFactors.beginSecondFactor('a', uma.id, 'sealed')
      const confirmed = { sealed: 'sealed', step: 1, recoveryCodes: [], keep: uma.signIn }
      await people.stores.secondFactors.confirmSecondFactor('a', uma.id, confirmed, start)
      return verdict
    }
    await expect(signIn()).rejects.toMatchObject({ code: 'login.refused', detail: { reason: 'user-changed' } })
  })

  it('AD-06: are kept sealed and as digests, and are in no record', async () => {
    const { begun, code, recoveryCodes } = await enrol()
    later()
    await outcome(signIn(recoveryCodes[0]))
    await outcome(signIn(code()))
    const kept = JSON.stringify([await people.stores.users.findLogin({ id: 'usr_uma' }), people.state.recorded])
    const secret = bytesOf(begun.secret)
    expect(base32(secret)).toBe(begun.secret)
    for (const each of [begun.secret, ...recoveryCodes, secret.toString('base64url'), secret.toString('hex'), code()])
      expect(kept).not.toContain(each)
    expect(kept).not.toContain(recoveryCodes[1]?.replaceAll('-', ''))
    expect(await people.secondFactors.verify()).toEqual({ records: 1, unreadable: 0 })
  })

  it('CR-02, AD-06: what was sealed for another, or with another key, opens nothing', async () => {
    const { code } = await enrol()
    later()
    const own = (await people.stores.users.findLogin({ id: 'usr_uma' }))?.secondFactor
    expect(people.secondFactors.judge('usr_uma', own, code())).toMatchObject({ kind: 'step' })
    expect(people.secondFactors.judge('usr_uri', own, code())).toBeUndefined()
    const foreign = openSealer(createSecretKey(randomBytes(32)), randomBytes)
    const sealed = foreign.seal(randomBytes(20).toString('base64url'), 'second-factor\nusr_uri')
    await people.stores.secondFactors.beginSecondFactor('a', 'usr_uri', sealed)
    expect(await people.secondFactors.verify()).toEqual({ records: 2, unreadable: 1 })
    const zero = totpCode(Buffer.alloc(20), stepAt(people.state.now))
    const factor = { sealed, since: start, step: 0, recoveryCodes: [] }
    expect(people.secondFactors.judge('usr_uri', factor, zero)).toBeUndefined()
  })
})
