import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { keyStoreContract } from '../../identity/key-store.contract.ts'
import type { SqlTarget } from './database.ts'
import { openSqlIdentity } from './identity-stores.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-keys-'))
const postgres = await testPostgres()

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
})

const opening = (target: SqlTarget) => async () => ({
  stores: await openSqlIdentity(target),
  another: () => openSqlIdentity(target),
})

let files = 0
keyStoreContract('sql on SQLite', async () => opening({ file: join(folder, `keys-${files++}.db`) })())

if ('reason' in postgres) describe.skip(`the key store sql on PostgreSQL: ${postgres.reason}`, () => undefined)
else keyStoreContract('sql on PostgreSQL', async () => opening({ databaseUrl: await postgres.database() })())
