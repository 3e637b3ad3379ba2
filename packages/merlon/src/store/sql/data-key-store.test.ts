import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { dataKeyStoreContract } from '../../sealing/data-key-store.contract.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlTarget } from './database.ts'
import { SqlRootStore } from './root-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-data-keys-'))
const postgres = await testPostgres()

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
})

const opening = async (target: SqlTarget) => {
  const database = await openDatabase(target)
  const roots = new SqlRootStore(database)
  const changeRoot = async (root: string) => {
    const standing = await roots.begin(root, [])
    return roots.change(standing, root)
  }
  return { store: new SqlDataKeyStore(database), changeRoot, close: () => database.close() }
}

let files = 0
dataKeyStoreContract('sql on SQLite', () => opening({ file: join(folder, `keys-${files++}.db`) }))

if ('reason' in postgres) describe.skip(`data keys: sql on PostgreSQL: ${postgres.reason}`, () => undefined)
else dataKeyStoreContract('sql on PostgreSQL', async () => opening({ databaseUrl: await postgres.database() }))
