import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { expect } from 'vitest'
import { openServer } from '../../../packages/merlon/src/app.ts'
import { ask } from '../../tokens/control-client.ts'
import type { AttackCase } from '../attack-case.ts'
import type { Target } from '../harness.ts'

const area = 'Crypto'

/** Runs a statement on the database, as somebody who should not be there. */
function behind(target: Target, statement: string, ...values: SQLInputValue[]): readonly Record<string, unknown>[] {
  const database = new DatabaseSync(join(target.folder, '.merlon', 'merlon.db'), { timeout: 5_000 })
  try {
    return database.prepare(statement).all(...values)
  } finally {
    database.close()
  }
}

const local = (target: Target, path: string, body: object) =>
  ask({ socketPath: target.server.control.socket ?? expect.unreachable('no socket') }, 'POST', path, { body })

const sealing = (target: Target, tenant: string) =>
  behind(target, "select * from data_keys where tenant = ? and purpose = 'session' and replaced_at is null", tenant)[0]!

const refused = {
  status: 404,
  code: 'SESSION_NOT_FOUND',
  audit: { type: 'crypto', success: false, level: 'error', reason: 'unreadable' },
} as const

/** Keys in the hands of somebody who can write to the database and does not have the root key. */
export const encryptionKeyCases: readonly AttackCase[] = [
  {
    id: 'X-230',
    area,
    requirement: ['CR-03', 'CR-02', 'AU-04'],
    title: 'a wrapped key of another tenant, put in the place of ours, opens nothing',
    alone: true,
    send: async (target) => {
      const [mine, other] = [await target.openSession('A.read'), await target.openSession('B.read')]
      const [a, b] = [sealing(target, 'tenant-a'), sealing(target, 'tenant-b')]
      await target.restart(async () => {
        behind(target, 'update data_keys set wrapped = ? where id = ?', b['wrapped'] as Uint8Array, a['id'] as string)
      })
      const answer = await target.send(mine.request('ping'))
      expect((await target.send(other.request('ping'))).status).toBe(200)
      return answer
    },
    expect: refused,
  },
  {
    id: 'X-231',
    area,
    requirement: ['CR-07'],
    title: 'a destroyed key stays destroyed, whatever its row says, and so do the sessions it sealed',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [row] = behind(target, 'select * from sessions')
      const key = sealing(target, 'tenant-a')['id'] as string
      const { status, body } = await local(target, `/api/encryption-keys/${key}/destroy`, { force: true })
      expect([status, body.state, body.lost]).toEqual([200, 'destroyed', { sessions: 1 }])
      expect((await target.send(session.request('ping'))).code).toBe('SESSION_NOT_FOUND')
      await target.restart(async () => {
        behind(target, 'update data_keys set destroyed_at = null where id = ?', key)
        const names = Object.keys(row!)
        const values = Object.values(row!) as SQLInputValue[]
        behind(target, `insert into sessions (${names}) values (${names.map(() => '?')})`, ...values)
      })
      return target.send(session.request('ping'))
    },
    expect: refused,
  },
  {
    id: 'X-232',
    area,
    requirement: ['CR-06', 'CR-12'],
    title: 'a key of the installation in the place of another, or altered, stops the start',
    alone: true,
    send: async (target) => {
      const kept = behind(target, 'select * from kept_keys order by purpose')
      expect(kept.length).toBeGreaterThan(5)
      const [one, other] = kept as { purpose: string; wrapped: Uint8Array }[]
      const put = (wrapped: Uint8Array) =>
        void behind(target, 'update kept_keys set wrapped = ? where purpose = ?', wrapped, other!.purpose)
      const flipped = Uint8Array.from(other!.wrapped)
      flipped[30]! ^= 1
      const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
      await target.restart(async () => {
        for (const wrapped of [one!.wrapped, flipped, new Uint8Array()]) {
          put(wrapped)
          await expect(openServer({ project: target.folder, log: silent })).rejects.toThrow('in the store was changed')
        }
        put(other!.wrapped)
      })
      return undefined
    },
  },
]
