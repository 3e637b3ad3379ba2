import { expect } from 'vitest'
import { stepAt, totpCode } from '../../../packages/merlon/src/identity/totp.ts'
import { ask as askLocal } from '../../tokens/control-client.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'

const area = 'Second factor'
const config = { admin: { listener: 'shared' } } as const
const password = 'a long and quiet walk 7'
let people = 0

function send(target: Target, token: string | undefined, verb: string, path: string, body?: object): Promise<Answer> {
  return target.send({
    verb,
    path,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: { Accept: 'application/json', ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) },
  })
}

/** As whoever can open the data folder, who is at no address. */
async function local(target: Target, path: string, body: object) {
  const place = { socketPath: target.server.control.socket ?? expect.unreachable('no socket') }
  const answer = await askLocal(place, 'POST', path, { body })
  expect(answer.status, answer.text).toBeLessThan(300)
  return answer.body
}

const bytesOf = (secret: string) => {
  const bits = [...secret].map((each) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(each).toString(2).padStart(5, '0'))
  return Buffer.from((bits.join('').match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2)))
}

/** A victim with a second factor, and the code that turned it on, which is used. */
async function victim(target: Target, role: 'user' | 'admin' = 'user') {
  const name = `victim-${++people}`
  const { id } = await local(target, '/api/users', { tenant: 'tenant-a', name, role, password })
  const account = { tenant: 'tenant-a', name, password }
  const { accessToken: token } = await local(target, '/api/auth/login', account)
  const begun = await send(target, token, 'POST', '/api/auth/second-factor', { password })
  const { secret } = JSON.parse(begun.text) as { secret: string }
  const code = (steps = 0) => totpCode(bytesOf(secret), stepAt(target.now()) + steps)
  const used = code()
  const confirmed = await send(target, token, 'POST', '/api/auth/second-factor/confirm', { code: used })
  expect(confirmed.status, confirmed.text).toBe(200)
  const { recoveryCodes } = JSON.parse(confirmed.text) as { recoveryCodes: readonly string[] }
  const login = (more: object) => send(target, undefined, 'POST', '/api/auth/login', { ...account, ...more })
  return { id: id as string, token: token as string, code, used, recoveryCodes, login }
}

const newPassword = 'quite another sentence'

export const secondFactorCases: readonly AttackCase[] = [
  {
    id: 'X-450',
    area,
    requirement: ['AD-06'],
    title: 'who has the password alone is told that a code is needed, and is not let in',
    config,
    async send(target) {
      const { login } = await victim(target)
      return login({})
    },
    expect: { status: 401, code: 'SECOND_FACTOR_REQUIRED' },
  },
  ...each(
    {
      id: 'X-451',
      area,
      requirement: ['AD-06', 'AD-05'],
      title: 'a code that is wrong, of another, or was used opens nothing, and reads as a wrong password',
      config,
      alone: true,
      expect: { status: 401, code: 'LOGIN_REFUSED' },
    },
    {
      'no code': async (target) => (await victim(target)).login({ code: 'ABCDEF' }),
      'of another': async (target) => {
        const { code } = await victim(target)
        return (await victim(target)).login({ code: code(1) })
      },
      'seen over the shoulder': async (target) => {
        const { login, used } = await victim(target)
        return login({ code: used })
      },
      'used at the sign-in before': async (target) => {
        const { login, code } = await victim(target)
        const next = code(1)
        expect((await login({ code: next })).status).toBe(200)
        return login({ code: next })
      },
      'a recovery code that was used': async (target) => {
        const { login, recoveryCodes } = await victim(target)
        expect((await login({ code: recoveryCodes[0] })).status).toBe(200)
        return [await login({ code: recoveryCodes[0] }), await login({ code: `${recoveryCodes[0]}`.toLowerCase() })]
      },
      'a recovery code of another': async (target) => {
        const { recoveryCodes } = await victim(target)
        return (await victim(target)).login({ code: recoveryCodes[0] })
      },
      'a code of long ago': async (target) => {
        const { login, code } = await victim(target)
        const old = code(1)
        target.advance(120_000)
        return login({ code: old })
      },
    },
  ),
  {
    id: 'X-452',
    area,
    requirement: ['AD-06', 'AD-05'],
    title: 'one code that is sent many times at once opens one sign-in',
    config,
    alone: true,
    async send(target) {
      const { login, code } = await victim(target)
      const next = code(1)
      const answers = await Promise.all(Array.from({ length: 8 }, () => login({ code: next })))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      return answers.filter(({ status }) => status !== 200)
    },
    expect: { status: 401, code: 'LOGIN_REFUSED' },
  },
  {
    id: 'X-453',
    area,
    requirement: ['AD-06', 'AD-05'],
    title: 'who has the password and guesses codes is told to wait',
    config,
    alone: true,
    async send(target) {
      const { login } = await victim(target)
      const answers: Answer[] = []
      for (let each = 0; each < 12; each++) answers.push(await login({ code: `GUESS${each}` }))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429]))
      return answers.slice(-1)
    },
    expect: { status: 429, code: 'RATE_LIMITED', headers: { 'retry-after': /^[1-9][0-9]*$/ } },
  },
  {
    id: 'X-454',
    area,
    requirement: ['AD-06'],
    title: 'a stolen token makes no key and no administrator, and takes nothing out, ten minutes after the code',
    config,
    alone: true,
    async send(target) {
      const { token, id } = await victim(target, 'admin')
      target.advance(600_000)
      return [
        await send(target, token, 'POST', '/api/api-keys', { name: 'mine', scopes: ['admin'], use: 'control' }),
        await send(target, token, 'POST', '/api/users', { name: 'mallory', role: 'admin', password: newPassword }),
        await send(target, token, 'POST', '/api/users/usr_tenant-a_user/password', { password: newPassword }),
        await send(target, token, 'DELETE', `/api/users/${id}/second-factor`),
        await send(target, token, 'GET', '/api/audit/export'),
      ]
    },
    expect: { status: 403, code: 'CONFIRMATION_REQUIRED' },
  },
  {
    id: 'X-455',
    area,
    requirement: ['AD-06'],
    title: 'a stolen token neither takes the second factor away nor puts another in its place',
    config,
    alone: true,
    async send(target) {
      const { token, used, login } = await victim(target, 'admin')
      const wrong = [
        await send(target, token, 'POST', '/api/auth/second-factor/remove', { code: 'ABCDEF' }),
        await send(target, token, 'POST', '/api/auth/second-factor/remove', { code: used }),
        await send(target, token, 'POST', '/api/auth/confirm', { code: used }),
        await send(target, token, 'POST', '/api/auth/second-factor', { password: 'a guess of somebody' }),
      ]
      // With the password as well: the one that is on stays.
      const begun = await send(target, token, 'POST', '/api/auth/second-factor', { password })
      expect([begun.status, begun.code]).toEqual([409, 'CONFLICT'])
      expect((await login({})).code).toBe('SECOND_FACTOR_REQUIRED')
      return wrong
    },
    expect: { status: 400, code: 'INVALID_FIELDS' },
  },
  {
    id: 'X-456',
    area,
    requirement: ['AD-06', 'AD-04'],
    title: 'a sign-in that a thief of the password opened before ends when the second factor is turned on',
    config,
    async send(target) {
      const name = `victim-${++people}`
      await local(target, '/api/users', { tenant: 'tenant-a', name, role: 'user', password })
      const account = { tenant: 'tenant-a', name, password }
      const thief = await local(target, '/api/auth/login', account)
      const { accessToken: token } = await local(target, '/api/auth/login', account)
      const begun = await send(target, token, 'POST', '/api/auth/second-factor', { password })
      const { secret } = JSON.parse(begun.text) as { secret: string }
      const code = totpCode(bytesOf(secret), stepAt(target.now()))
      expect((await send(target, thief.accessToken, 'GET', '/api/auth/me')).status).toBe(200)
      expect((await send(target, token, 'POST', '/api/auth/second-factor/confirm', { code })).status).toBe(200)
      return send(target, thief.accessToken, 'GET', '/api/auth/me')
    },
    expect: { status: 401, code: 'INVALID_API_KEY' },
  },
]
