import type { Kysely } from 'kysely'
import type { Instant } from '../../call.ts'
import type {
  BlockedSubject,
  ChangedCredential,
  Changes,
  FactName,
  InstallationStore,
} from '../../identity/installation-store.ts'
import type { NewKey } from '../../identity/key-store.ts'
import { everyTenant } from '../../identity/reach.ts'
import type { NewUser } from '../../identity/user-store.ts'
import { Acts, Refused } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { insertKey } from './key-store.ts'
import type { Tables } from './tables.ts'
import { ensureTenant } from './tenant-store.ts'
import { insertUser } from './user-store.ts'

export class SqlInstallationStore implements InstallationStore {
  readonly #acts: Acts
  readonly #db: Kysely<Tables>

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
    this.#db = database.db
  }

  claimFact(name: FactName, value: string): Promise<string> {
    return reaching(() =>
      this.#db.transaction().execute(async (act) => {
        await act
          .insertInto('installation')
          .values({ name, value })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        return (await act.selectFrom('installation').select('value').where('name', '=', name).executeTakeFirstOrThrow())
          .value
      }),
    )
  }

  findFact(name: FactName): Promise<string | undefined> {
    return reaching(async () => {
      const row = await this.#db.selectFrom('installation').select('value').where('name', '=', name).executeTakeFirst()
      return row?.value
    })
  }

  createFirst(tenant: string, user: NewUser, key: NewKey, now: Instant): Promise<boolean> {
    return this.#acts.change<boolean>(tenant, async (act, changed) => {
      const { numInsertedOrUpdatedRows } = await act
        .insertInto('installation')
        .values({ name: 'first-start', value: String(now) })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      if (numInsertedOrUpdatedRows === 0n) throw new Refused(false)
      await ensureTenant(act, tenant, now)
      await insertUser(act, user, changed, now)
      await insertKey(act, key, changed, now)
      return true
    })
  }

  changesSince(revision: number): Promise<Changes> {
    return reaching(async () => {
      // The counter first: a change that commits between the two reads is told now and once more next time.
      const { value } = await this.#db.selectFrom('identity_revision').select('value').executeTakeFirstOrThrow()
      if (value <= revision)
        return { revision: value, keys: [], signIns: [], subjects: [], suspended: [], disabled: [] }
      const [keys, signIns, subjects, suspended, disabled] = await this.#acts.read(everyTenant, async (db) => [
        await keysChangedAfter(db, revision),
        await signInsChangedAfter(db, revision),
        await subjectsBlockedAfter(db, revision),
        await inactiveSince(db, 'tenants', revision),
        await inactiveSince(db, 'users', revision),
      ])
      return { revision: value, keys, signIns, subjects, suspended, disabled }
    })
  }
}

async function keysChangedAfter(db: Kysely<Tables>, revision: number): Promise<readonly ChangedCredential[]> {
  const keys = db.selectFrom('api_keys').select('api_keys.id')
  // Each part by its own index on `changed`: one condition over all of them would read every key.
  const changed = keys
    .where('changed', '>', revision)
    .unionAll(keys.where('owner', 'in', db.selectFrom('users').select('id').where('changed', '>', revision)))
    .unionAll(keys.where('agent', 'in', db.selectFrom('agents').select('id').where('changed', '>', revision)))
    .unionAll(keys.where('tenant', 'in', db.selectFrom('tenants').select('id').where('changed', '>', revision)))
  const rows = await db
    .selectFrom('api_keys as key')
    .innerJoin('users as user', 'user.id', 'key.owner')
    .innerJoin('tenants as tenant', 'tenant.id', 'key.tenant')
    .leftJoin('agents as agent', 'agent.id', 'key.agent')
    .select(['key.id', 'key.revoked_at', 'key.active', 'user.status'])
    .select(['tenant.status as tenant_status', 'agent.status as agent_status'])
    .where('key.id', 'in', changed)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    withdrawn:
      row.revoked_at !== null ||
      row.active === 0 ||
      row.status !== 'active' ||
      row.tenant_status !== 'active' ||
      (row.agent_status ?? 'active') !== 'active',
  }))
}

async function signInsChangedAfter(db: Kysely<Tables>, revision: number): Promise<readonly ChangedCredential[]> {
  const signIns = db.selectFrom('sign_ins').select('sign_ins.id')
  const changed = signIns
    .where('changed', '>', revision)
    .unionAll(signIns.where('user_id', 'in', db.selectFrom('users').select('id').where('changed', '>', revision)))
    .unionAll(signIns.where('tenant', 'in', db.selectFrom('tenants').select('id').where('changed', '>', revision)))
  const rows = await db
    .selectFrom('sign_ins as own')
    .innerJoin('users as user', 'user.id', 'own.user_id')
    .innerJoin('tenants as tenant', 'tenant.id', 'own.tenant')
    .select(['own.id', 'own.revoked_at', 'user.status', 'tenant.status as tenant_status'])
    .where('own.id', 'in', changed)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    withdrawn: row.revoked_at !== null || row.status !== 'active' || row.tenant_status !== 'active',
  }))
}

async function subjectsBlockedAfter(db: Kysely<Tables>, revision: number): Promise<readonly BlockedSubject[]> {
  const rows = await db
    .selectFrom('blocked_subjects')
    .select(['issuer', 'subject', 'tenant'])
    .where('changed', '>', revision)
    .execute()
  return rows.map(({ issuer, subject, tenant }) => ({ issuer, subject, tenant: tenant ?? undefined }))
}

async function inactiveSince(
  db: Kysely<Tables>,
  table: 'tenants' | 'users',
  revision: number,
): Promise<readonly string[]> {
  const rows = await db
    .selectFrom(table)
    .select('id')
    .where('changed', '>', revision)
    .where('status', '!=', 'active')
    .execute()
  return rows.map(({ id }) => id)
}
