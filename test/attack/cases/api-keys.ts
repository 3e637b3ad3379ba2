import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { localOperator } from '../../../packages/merlon/src/identity/actor.ts'
import { mintKey } from '../../../packages/merlon/src/identity/key-format.ts'
import { scopeSet } from '../../../packages/merlon/src/policy/scopes.ts'
import { type AttackCase, each } from '../attack-case.ts'
import { issue, type Target } from '../harness.ts'
import { call, initialize, type Request, tool } from '../request.ts'

const area = 'API keys'
const day = 86_400_000

/** A request for something harmless with this credential. */
const withKey = (text: string): Request => call('tools/list', {}, { headers: { Authorization: `Bearer ${text}` } })

/** The last character changed into another. */
function bent(text: string, at = text.length - 1): string {
  return text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1)
}

/** A key for A that is not one of the fixture's. */
const spare = (target: Target, name: string, lifetime?: string) =>
  issue(target.server, {
    tenant: 'tenant-a',
    user: 'user',
    name,
    scopes: ['read'],
    ...(lifetime === undefined ? {} : { lifetime }),
  })

export const apiKeyCases: readonly AttackCase[] = [
  {
    id: 'O-005',
    area,
    requirement: ['TR-06'],
    title: 'two Authorization lines are refused, so that none of them is chosen',
    send: (target) => {
      const lines = [`Bearer ${target.key('A.read').text}`, `Bearer ${target.key('A.admin').text}`]
      return target.send(tool('admin_status', {}, { headers: { Authorization: lines } }))
    },
    expect: {
      status: 400,
      code: 'DUPLICATE_HEADER',
      audit: { type: 'edge', success: false, reason: 'duplicate_header' },
    },
  },
  ...each(
    {
      id: 'O-006',
      area,
      requirement: ['AK-05', 'CO-04'],
      title: 'two credentials in one request are refused, whichever is good',
      expect: { status: 400, code: 'INVALID_REQUEST', audit: { type: 'auth', success: false } },
    },
    {
      'read and admin': (target) =>
        target.send(tool('admin_status', {}, { as: 'A.read', headers: { 'X-API-Key': target.key('A.admin').text } })),
      'the same twice': (target) =>
        target.send(tool('admin_status', {}, { as: 'A.admin', headers: { 'X-API-Key': target.key('A.admin').text } })),
      'an empty one': (target) =>
        target.send(tool('admin_status', {}, { as: 'A.admin', headers: { 'X-API-Key': '' } })),
    },
  ),
  {
    id: 'X-050',
    area,
    requirement: ['AK-05'],
    title: 'X-API-Key is as good as a bearer token, and the scheme is not case-sensitive',
    send: async (target) => {
      const { text } = target.key('A.read')
      return [
        await target.send(call('tools/list', {}, { headers: { 'X-API-Key': text } })),
        await target.send(call('tools/list', {}, { headers: { Authorization: `bEARER ${text}` } })),
      ]
    },
    expect: { status: 200 },
  },
  ...each(
    {
      id: 'O-033',
      area,
      requirement: ['CO-03', 'TR-09'],
      title: 'no credential is 401 with a challenge that says where to learn more',
      expect: {
        status: 401,
        code: 'MISSING_API_KEY',
        headers: {
          'WWW-Authenticate':
            /^Bearer resource_metadata="http:\/\/127\.0\.0\.1:\d+\/\.well-known\/oauth-protected-resource\/mcp", scope="read write"$/,
        },
        audit: { type: 'auth', success: false, code: 'MISSING_API_KEY' },
      },
    },
    {
      'tools/list': (target) => target.send(call('tools/list')),
      'tools/call': (target) => target.send(tool('write_note', { text: 'x' })),
      initialize: (target) => target.send(initialize(undefined)),
      'an unknown method': (target) => target.send(call('foo/bar')),
      'no JSON at all': (target) => target.send({ body: '[[[' }),
      GET: (target) => target.send({ verb: 'GET' }),
      DELETE: (target) => target.send({ verb: 'DELETE' }),
      'with a session': async (target) => {
        const session = await target.openSession('A.read')
        return [
          await target.send({ ...session.request('ping'), as: undefined }),
          await target.send({ ...session.stream(), as: undefined }),
          await target.send({ ...session.end(), as: undefined }),
        ]
      },
    },
  ),
  {
    id: 'X-051',
    area,
    requirement: ['CO-03'],
    title: 'the body for no credential is exactly this',
    send: async (target) => {
      expect((await target.send(call('tools/list'))).text).toBe('{"error":"API key required","code":"MISSING_API_KEY"}')
      return undefined
    },
  },
  {
    id: 'O-034',
    area,
    requirement: ['AK-01', 'AK-04', 'AK-07', 'CO-03'],
    title:
      'unknown, expired, revoked, mistyped, empty and endless keys get one answer, and the record tells them apart',
    alone: true,
    send: async (target) => {
      const expiring = await spare(target, 'expiring', '30m')
      const revoked = await spare(target, 'revoked')
      await target.server.keys.revokeKey(revoked.id, localOperator)
      expect((await target.send(withKey(expiring.text))).status).toBe(200)
      target.advance(31 * 60_000)
      const good = target.key('A.read').text
      const tried: readonly (readonly [credential: string, reason: string])[] = [
        [mintKey(randomBytes).text, 'unknown'],
        [mintKey(randomBytes, target.key('A.read').id).text, 'secret'],
        [expiring.text, 'expired'],
        [revoked.text, 'revoked'],
        [bent(good), 'malformed'],
        [bent(good, 20), 'malformed'],
        [good.toLowerCase(), 'malformed'],
        [good.slice(0, -1), 'malformed'],
        [`${good}0`, 'malformed'],
        ['', 'malformed'],
        ['x'.repeat(10_000), 'length'],
        ['mrl_', 'malformed'],
        ['Basic', 'malformed'],
      ]
      const bodies = new Set<string>()
      const challenges = new Set<string | undefined>()
      for (const [credential, reason] of tried) {
        const size = target.auditBytes().length
        const answer = await target.send(withKey(credential))
        expect(answer.status, reason).toBe(401)
        bodies.add(answer.text)
        challenges.add(answer.header('www-authenticate'))
        await target.settled(() =>
          expect(target.audit(size)).toContainEqual(
            expect.objectContaining({ type: 'auth', success: false, code: 'INVALID_API_KEY', reason }),
          ),
        )
      }
      expect([...bodies]).toEqual(['{"error":"Invalid API key","code":"INVALID_API_KEY"}'])
      expect(challenges.size).toBe(1)
      return undefined
    },
  },
  ...each(
    {
      id: 'O-035',
      area,
      requirement: ['TR-16', 'AK-01', 'AK-11'],
      title: 'a word that is no key of ours is no key',
      expect: { status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false } },
    },
    Object.fromEntries(
      [
        'constructor',
        '__proto__',
        'toString',
        'hasOwnProperty',
        'undefined',
        'null',
        'true',
        '0',
        '[object Object]',
        'sk_read_abc123',
        'sk_admin_ghi789',
        'secret-api-key',
        'your-jwt-secret-key',
        `mrl_${'0'.repeat(12)}_${'0'.repeat(49)}`,
      ].map((word): [string, AttackCase['send']] => [
        word,
        async (target) => [
          await target.send(withKey(word)),
          await target.send(call('tools/list', {}, { headers: { 'X-API-Key': word } })),
        ],
      ]),
    ),
  ),
  ...each(
    {
      id: 'O-036',
      area,
      requirement: ['AK-05', 'CO-05'],
      title: 'a key anywhere else than in its header is as if it were not there, and is recorded',
      expect: { status: 401, code: 'MISSING_API_KEY', audit: { type: 'auth', success: false } },
    },
    {
      'query api_key': (target) =>
        target.send({ ...tool('admin_status'), path: `/mcp?api_key=${target.key('A.admin').text}` }),
      'query access_token': (target) =>
        target.send({ ...tool('admin_status'), path: `/mcp?access_token=${target.key('A.admin').text}` }),
      cookie: (target) =>
        target.send(tool('admin_status', {}, { headers: { Cookie: `api_key=${target.key('A.admin').text}` } })),
      body: (target) =>
        target.send(tool('admin_status', {}, { meta: { authorization: `Bearer ${target.key('A.admin').text}` } })),
      'another header': (target) =>
        target.send(
          tool('admin_status', {}, { headers: { 'Proxy-Authorization': `Bearer ${target.key('A.admin').text}` } }),
        ),
    },
  ),
  ...each(
    {
      id: 'O-037',
      area,
      requirement: ['AK-06'],
      title: 'a lifetime that is none, or beyond the longest, makes no key',
    },
    Object.fromEntries(
      ['0', '0d', '-1d', '1000000000d', '366d', 'never', 'null', '', '1.5d', '1e3d', '90', 'Infinity'].map(
        (lifetime): [string, AttackCase['send']] => [
          JSON.stringify(lifetime),
          async (target) => {
            const answer = await target.server.keys.createKey(
              { tenant: 'tenant-a', user: 'user', name: `lasting-${lifetime.length}`, scopes: ['read'], lifetime },
              localOperator,
            )
            expect(answer).toEqual({ ok: false, reason: 'lifetime-refused' })
            return undefined
          },
        ],
      ),
    ),
  ),
  {
    id: 'X-052',
    area,
    requirement: ['AK-06'],
    title: 'a key that names no lifetime ends in ninety days',
    alone: true,
    send: async (target) => {
      const key = await spare(target, 'plain')
      target.advance(90 * day - 60_000)
      expect((await target.send(withKey(key.text))).status).toBe(200)
      // The keys of the fixture end now as well; one that lasts longer keeps the honest caller honest.
      const listed = await target.server.keys.listKeys({ tenant: 'tenant-a' }, localOperator)
      expect(listed.every(({ expiresAt, createdAt }) => expiresAt - createdAt === 90 * day)).toBe(true)
      return undefined
    },
  },
  ...each(
    {
      id: 'O-039',
      area,
      requirement: ['AK-09'],
      title: 'nobody makes a key with more than they hold, or for another tenant',
    },
    {
      'more scopes': async (target) => {
        const by = { id: 'ann', tenant: 'tenant-a', scopes: scopeSet(['read', 'write']) }
        for (const scopes of [['admin'], ['read', 'admin'], ['files:write']]) {
          expect(
            await target.server.keys.createKey({ tenant: 'tenant-a', user: 'admin', name: 'more', scopes }, by),
          ).toEqual({
            ok: false,
            reason: 'scope-beyond-yours',
          })
        }
        return undefined
      },
      'another tenant': async (target) => {
        const by = { id: 'bob', tenant: 'tenant-b', scopes: scopeSet(['admin']) }
        const { keys } = target.server
        expect(
          await keys.createKey({ tenant: 'tenant-a', user: 'admin', name: 'other', scopes: ['read'] }, by),
        ).toEqual({
          ok: false,
          reason: 'user-unknown',
        })
        return undefined
      },
      'the secret of a stronger key': async (target) => {
        const { id } = target.key('A.admin')
        const by = { id: 'usr_tenant-a_admin', tenant: 'tenant-a', scopes: scopeSet(['read', 'write']) }
        const { keys } = target.server
        const beyond = { ok: false, reason: 'scope-beyond-yours' }
        expect(await keys.rotateKey(id, by)).toEqual(beyond)
        expect(await keys.updateKey(id, { lifetime: '1h' }, by)).toEqual(beyond)
        expect(await keys.rotateKey(id, { ...by, id: 'usr_tenant-a_user' })).toEqual({
          ok: false,
          reason: 'key-unknown',
        })
        return undefined
      },
    },
  ),
  {
    id: 'O-040',
    area,
    requirement: ['AK-03', 'AK-02'],
    title: 'a list of keys shows four characters of each; the data folder holds nothing that works as a key',
    send: async (target) => {
      const listed = JSON.stringify(await target.server.keys.listKeys({ tenant: 'tenant-a' }, localOperator))
      const folder = join(target.folder, '.merlon')
      const files = readdirSync(folder).filter((file) => !file.endsWith('.sock'))
      const kept = files.map((file) => readFileSync(join(folder, file)).toString('latin1'))
      for (const person of ['A.read', 'A.write', 'A.admin'] as const) {
        const { text } = target.key(person)
        const secret = text.slice(17, 60)
        expect(listed).not.toContain(secret)
        for (const file of kept) expect(file).not.toContain(secret)
      }
      expect(listed).not.toContain('digest')
      return undefined
    },
  },
  {
    id: 'O-063',
    sub: 'keys',
    area,
    requirement: ['AU-05', 'AU-04'],
    title: 'the administrator of another tenant is told of a key what they are told of none',
    send: async (target) => {
      const by = { id: 'bob', tenant: 'tenant-b', scopes: scopeSet(['admin']) }
      const { keys } = target.server
      const { id } = target.key('A.read')
      for (const each of [id, 'key_000000000000', 'x'.repeat(1_000)]) {
        expect(await keys.revokeKey(each, by)).toEqual({ ok: false, reason: 'key-unknown' })
        expect(await keys.rotateKey(each, by)).toEqual({ ok: false, reason: 'key-unknown' })
      }
      expect(await keys.listKeys({ tenant: 'tenant-a' }, by)).toEqual([])
      expect((await target.send(withKey(target.key('A.read').text))).status).toBe(200)
      return undefined
    },
  },
  {
    id: 'X-053',
    area,
    requirement: ['AK-08', 'AU-01'],
    title: 'a key with admin for a user whose role lacks it does what the role does',
    send: async (target) => {
      const key = await issue(target.server, { tenant: 'tenant-a', user: 'user', name: 'great', scopes: ['admin'] })
      const headers = { Authorization: `Bearer ${key.text}` }
      expect((await target.send(tool('admin_status', {}, { headers }))).code).toBe('UNKNOWN_TOOL')
      expect(
        (await target.send(call('tools/list', {}, { headers }))).message.result?.tools?.map(({ name }) => name),
      ).not.toContain('admin_status')
      return undefined
    },
  },
  {
    id: 'O-112',
    area,
    requirement: ['AK-10'],
    title: 'a replaced secret is good for its grace; after it the record says that someone still has it',
    alone: true,
    send: async (target) => {
      const old = target.key('A.read')
      const rotated = await target.server.keys.rotateKey(old.id, localOperator, '1m')
      if (!rotated.ok) throw new Error(rotated.reason)
      target.advance(30_000)
      expect((await target.send(withKey(old.text))).status).toBe(200)
      expect((await target.send(withKey(rotated.text))).status).toBe(200)
      target.advance(31_000)
      expect((await target.send(withKey(old.text))).status).toBe(401)
      expect((await target.send(withKey(rotated.text))).status).toBe(200)
      return undefined
    },
    expect: { audit: { type: 'auth', success: false, reason: 'retired-secret' } },
  },
  {
    id: 'X-054',
    area,
    requirement: ['AK-11'],
    title: 'the first key is another for each installation, and ends within the hour',
    alone: true,
    send: async (target) => {
      const first = target.server.firstStart
      if (first === undefined) throw new Error('there is no first key')
      expect(first.expiresAt - target.now()).toBeLessThanOrEqual(3_600_000)
      expect((await target.send(withKey(first.key))).status).toBe(200)
      target.advance(3_600_000)
      return await target.send(withKey(first.key))
    },
    expect: { status: 401 },
  },
  {
    id: 'X-055',
    area,
    requirement: ['AK-12'],
    title: 'a key that was used until it was revoked stays revoked when its last use is written down',
    alone: true,
    send: async (target) => {
      const { id, text } = target.key('A.read')
      expect((await target.send(withKey(text))).status).toBe(200)
      await target.server.keys.revokeKey(id, localOperator)
      // Closing writes the uses that are still in memory.
      await target.restart()
      const record = await target.stores.keys.findKey(id)
      expect(record?.revokedAt).toBeTypeOf('number')
      expect(record?.lastUsedAt).toBeUndefined()
      return await target.send(withKey(text))
    },
    expect: { status: 401 },
  },
]
