import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { Fault } from '../errors.ts'
import { openSealer } from '../sealing/seal.ts'
import type { ListedSession } from '../session/session-store.ts'
import { Attempts } from './attempts.ts'
import { operation } from './operation.ts'
import { operationsByName } from './operations.ts'
import type { ControlParts } from './parts.ts'
import { type Asked, localPrincipal, perform } from './perform.ts'

const now = 1_800_000_000_000
const sealer = () => openSealer(createSecretKey(randomBytes(32)), randomBytes)
let records: unknown[]
let ended: string[]
let acknowledged: string[]
/** Which of the next commits fails. */
let failing: number

const session: ListedSession = {
  id: 'ses_000000000001',
  usedAt: now,
  session: {
    tenant: 'a',
    binding: 'b',
    principal: 'usr_1',
    credential: 'key_1',
    version: '2025-11-25',
    client: { name: 'c', version: '1', capabilities: {} },
    openedAt: now,
    expiresAt: now + 1_000,
    logLevel: undefined,
    subscriptions: undefined,
  },
}
const alert = {
  id: 'alt_1',
  rule: 'r',
  severity: 'warning',
  state: 'firing',
  says: 's',
  fix: 'f',
  threshold: 1,
  value: 2,
  startedAt: now,
} as const
const refreshed: string[] = []
const parts = {
  clock: () => now,
  audit: {
    append: (entry: unknown) => void records.push(entry),
    commit: async (entry: unknown) => {
      if (--failing === 0) throw new Fault('audit.unavailable')
      records.push(entry)
    },
    check() {},
  },
  cursors: sealer(),
  attempts: new Attempts(sealer(), randomBytes),
  sessions: {
    list: async () => [session],
    get: async (_reach: unknown, id: string) => (id === session.id ? session : undefined),
    end: async (_reach: unknown, id: string) => ended.push(id) > 0,
  },
  watch: {
    alerts: {
      list: () => [alert],
      find: (id: string) => (id === alert.id ? alert : undefined),
      acknowledge: (id: string) => {
        acknowledged.push(id)
        return alert
      },
    },
  },
  refresh: async () => void refreshed.push('asked'),
} as unknown as ControlParts

const asked = (more: Partial<Asked> = {}): Asked => ({
  principal: localPrincipal,
  params: {},
  query: {},
  body: undefined,
  version: undefined,
  attempt: undefined,
  requestId: 'r1',
  address: 'local',
  credential: undefined,
  startedAt: now,
  ...more,
})
const run = (name: string, more?: Partial<Asked>) => perform(operationsByName.get(name)!, asked(more), parts)

beforeEach(() => {
  records = []
  ended = []
  acknowledged = []
  failing = 0
})

describe('a change', () => {
  test('AL-01: that cannot be recorded as meant is not made', async () => {
    failing = 1
    await expect(run('sessions.end', { params: { id: session.id } })).rejects.toMatchObject({
      code: 'audit.unavailable',
    })
    failing = 1
    await expect(run('alerts.acknowledge', { params: { id: 'alt_1' } })).rejects.toMatchObject({
      code: 'audit.unavailable',
    })
    expect([ended, acknowledged, records]).toEqual([[], [], []])
  })

  test('AL-01: is recorded as meant and as done, and only then answered', async () => {
    await run('sessions.end', { params: { id: session.id } })
    expect(ended).toEqual([session.id])
    expect(records).toMatchObject([
      { action: 'session.end', by: 'local-operator', tenant: 'a', outcome: 'intended' },
      { action: 'session.end', by: 'local-operator', tenant: 'a', outcome: 'done' },
      { method: 'sessions.end', target: session.id, outcome: 'done' },
    ])
    failing = 2
    await expect(run('sessions.end', { params: { id: session.id } })).rejects.toMatchObject({
      code: 'audit.unavailable',
    })
  })
})

describe('an operation', () => {
  test('AU-01: is asked by nobody who shows nothing, but where it is open', async () => {
    await expect(run('sessions.list', { principal: undefined })).rejects.toMatchObject({ code: 'credential.missing' })
    expect(await run('health.alive', { principal: undefined })).toMatchObject({ status: 200, text: '{"status":"ok"}' })
  })

  test('AL-07: a sign of life that nobody showed anything for leaves no record, and any other call does', async () => {
    await run('health.alive', { principal: undefined })
    expect(records).toEqual([])
    await run('health.alive')
    await run('sessions.list')
    expect(records).toMatchObject([{ method: 'health.alive' }, { method: 'sessions.list' }])
  })

  test('AD-12: a version is written in one way', async () => {
    const edits = operation({
      name: 'x.update',
      method: 'PATCH',
      path: '/api/x',
      summary: 'x',
      access: 'authenticated',
      versioned: true,
      answer: z.strictObject({ seen: z.int() }),
      run: (_context, { version }) => ({ seen: version }),
    })
    const seen = async (version: string) => (await perform(edits, asked({ version }), parts)).text
    expect([await seen('"0"'), await seen('"1"'), await seen('"120"')]).toEqual([
      '{"seen":0}',
      '{"seen":1}',
      '{"seen":120}',
    ])
    for (const version of ['"01"', '"00"', '"+1"', '"1.0"', '"1e0"', '""', '1', 'W/"1"', '*', '"1", "2"'])
      await expect(seen(version)).rejects.toMatchObject({ code: 'fields.invalid' })
  })

  test('AK-09: what was made is told again to who may do as much, and to nobody of less', async () => {
    let made = 0
    const makes = operation({
      name: 'x.create',
      method: 'POST',
      path: '/api/x',
      summary: 'x',
      access: 'authenticated',
      creates: true,
      answer: z.strictObject({ secret: z.string() }),
      run: () => ({ secret: `secret ${++made}` }),
    })
    const holder = (...scopes: string[]) => ({
      ...localPrincipal,
      binding: 'tenant\nsubject',
      effective: new Set(scopes),
    })
    const attempt = async (...scopes: string[]) =>
      (await perform(makes, asked({ principal: holder(...scopes), attempt: 'one' }), parts)).text
    expect(await attempt('read', 'admin')).toBe('{"secret":"secret 1"}')
    expect(await attempt('admin', 'read')).toBe('{"secret":"secret 1"}')
    expect(await attempt('read')).toBe('{"secret":"secret 2"}')
  })

  test('takes nothing that it does not name: all of it is told at once', async () => {
    const refusal = run('sessions.list', { query: { limit: '0', colour: 'red' }, body: {} })
    await expect(refusal).rejects.toMatchObject({
      code: 'fields.invalid',
      detail: {
        data: {
          errors: [
            { path: 'query.limit', says: 'Too small: expected number to be >=1', expected: 'at least 1' },
            { path: 'query', says: 'unknown: colour', expected: 'only the fields of the schema' },
            { path: 'body', says: 'this operation takes none' },
          ],
        },
      },
    })
  })

  test('AD-12: the version of an entry is its ETag; nothing that a client named is taken for it', async () => {
    const shows = (value: object) =>
      perform(
        operation({
          name: 'x.get',
          method: 'GET',
          path: '/api/x',
          summary: 'x',
          access: 'authenticated',
          answer: z.looseObject({}),
          run: () => value as Record<string, unknown>,
        }),
        asked(),
        parts,
      )
    expect((await shows({ id: 'x', version: 7 })).etag).toBe('"7"')
    expect((await shows({ id: 'x', metadata: { version: 8 } })).etag).toBeUndefined()
    expect((await shows({ id: 'x', name: '"version":9' })).etag).toBeUndefined()
  })
})

test('AK-07: this process knows of a change before it is answered, and a look changes nothing', async () => {
  refreshed.length = 0
  await run('sessions.get', { params: { id: session.id } })
  expect(refreshed).toEqual([])
  await run('sessions.end', { params: { id: session.id } })
  expect(refreshed).toEqual(['asked'])
})
