import { describe, expect, test } from 'vitest'
import type { AuditEntry } from '../audit/audit-log.ts'
import { openPeople, type People } from '../identity/people.fixture.ts'
import type { Session } from '../session/session-store.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { endWithdrawn } from './end-withdrawn.ts'

const now = 1_800_000_000_000
const wide = { perPrincipal: 100, perTenant: 100, total: 100 }

/** The sessions of one process or more, on stores that outlive it. */
class KeptSessions extends MemorySessionStore {
  failing = false

  override endWithdrawn(withdrawals: Parameters<MemorySessionStore['endWithdrawn']>[0]): number {
    if (this.failing) throw new Error('the store is out of reach')
    return super.endWithdrawn(withdrawals)
  }
}

async function opened() {
  const people = await openPeople()
  const sessions = new KeptSessions(60_000)
  const records: AuditEntry[] = []
  const installation = {
    identity: { poll: people.poll, stores: people.stores },
    audit: { append: (entry: AuditEntry) => records.push(entry) },
  }
  let made = 0
  const keyOf = async (by: 'ann' | 'uma' | 'bob') => {
    const issued = await people.keys.createKey({ name: `k${++made}`, scopes: ['read'] }, people.by[by])
    if (!issued.ok) throw new Error(issued.reason)
    const { id, tenant, owner } = issued.key
    return { id, tenant, owner }
  }
  const open = ({ id, tenant, owner }: { id: string; tenant: string; owner: string }) => {
    const session: Session = {
      ...{ id: `session-${++made}`, tenant, binding: id, principal: owner, credential: id, version: '2025-11-25' },
      ...{ client: { name: undefined, version: undefined, capabilities: {} }, openedAt: now, expiresAt: now + 10_000 },
      ...{ logLevel: undefined, subscriptions: undefined },
    }
    sessions.open(session, wide, now)
  }
  const follow = () => endWithdrawn({ installation, sessions, clock: () => now })
  const left = () =>
    sessions
      .list({ everyTenant: true }, { limit: 100 }, now)
      .map(({ session }) => session.credential)
      .sort()
  return { people, sessions, records, keyOf, open, follow, left }
}

const revoke = (people: People, id: string) => people.keys.revokeKey(id, people.by.olga)

describe('who may call no more', () => {
  test('AK-07: has no session after the next poll, and others keep theirs', async () => {
    const { people, records, keyOf, open, follow, left } = await opened()
    await people.poll.start()
    await follow()
    const [laptop, phone, other] = [await keyOf('uma'), await keyOf('uma'), await keyOf('bob')]
    for (const key of [laptop, laptop, phone, other]) open(key)
    await people.poll.refresh()
    expect(left()).toHaveLength(4)
    await revoke(people, laptop.id)
    await people.poll.refresh()
    expect(left()).toEqual([phone.id, other.id].sort())
    await people.users.update('usr_uma', { status: 'disabled' }, people.by.ann)
    await people.poll.refresh()
    expect(left()).toEqual([other.id])
    expect(records.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(['withdraw 2', 'withdraw 1'])
    await people.poll.close()
  })

  test('AK-07: has none either where a process was killed in between: the next one ends them, and no more than that', async () => {
    const { people, sessions, keyOf, open, follow, left } = await opened()
    const [key, other] = [await keyOf('uma'), await keyOf('uma')]
    sessions.endWithdrawn({ credentials: [], principals: [], tenants: [], upTo: 0 })
    for (const each of [key, other]) open(each)
    await revoke(people, key.id)
    // Nobody follows yet.
    await people.poll.refresh()
    expect(left()).toHaveLength(2)
    await follow()
    expect(left()).toEqual([other.id])
    expect(sessions.withdrawnUpTo()).toBe((await people.stores.installation.changesSince(0)).revision)
    await people.poll.close()
  })

  test('AK-07: where the sessions were out of reach, ends them with a later poll', async () => {
    const { people, sessions, keyOf, open, follow, left } = await opened()
    await people.poll.start()
    await follow()
    const key = await keyOf('uma')
    open(key)
    sessions.failing = true
    await revoke(people, key.id)
    await expect(people.poll.refresh()).rejects.toThrow('out of reach')
    expect(left()).toEqual([key.id])
    sessions.failing = false
    await people.poll.refresh()
    expect(left()).toEqual([])
    await people.poll.close()
  })

  test('a server does not start over sessions that it cannot look after', async () => {
    const { people, sessions, follow } = await opened()
    sessions.failing = true
    await expect(follow()).rejects.toThrow('out of reach')
    await people.poll.close()
  })

  test('AU-04: a subject who is blocked loses the sessions of that tenant, and a suspended tenant all', async () => {
    const { people, open, follow, left } = await opened()
    await people.poll.start()
    await follow()
    const issuer = 'https://id.example'
    const subject = (tenant: string) => ({ id: `${issuer}#sam`, tenant, owner: `${issuer}#sam` })
    for (const tenant of ['a', 'b']) open(subject(tenant))
    await people.subjects.block({ issuer, subject: 'sam', tenant: 'a' }, people.by.olga)
    await people.poll.refresh()
    expect(left()).toHaveLength(1)
    await people.tenants.update('b', { status: 'suspended' }, people.by.olga)
    await people.poll.refresh()
    expect(left()).toEqual([])
    await people.poll.close()
  })
})
