import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { localOperator } from '../../packages/merlon/src/identity/actor.ts'
import { keyDigest, pepperId } from '../../packages/merlon/src/identity/key-digest.ts'
import { Keys } from '../../packages/merlon/src/identity/keys.ts'
import { Recorder } from '../../packages/merlon/src/identity/recorded.ts'
import { deriveKey, openRootKey } from '../../packages/merlon/src/sealing/root-key.ts'
import { openSqlIdentity } from '../../packages/merlon/src/store/sql/identity-stores.ts'
import { openLog } from './audit-log.ts'

/**
 * Makes and revokes keys as fast as it can until it is killed. Writes a line for each change once it is acknowledged:
 * `+ <key>` made, `- <key>` revoked.
 */
const folder = process.argv[2]!
const root = openRootKey({ folder, storeHasData: true })
const pepper = deriveKey(root.key, 'api-key-pepper')
const audit = await openLog(folder, (cause) => {
  throw cause
})
const stores = await openSqlIdentity({ file: join(folder, 'merlon.db') })
const keys = new Keys({
  ...stores,
  store: stores.keys,
  digest: keyDigest(pepper),
  pepper: pepperId(pepper),
  random: randomBytes,
  clock: Date.now,
  recorder: new Recorder(
    ({ action, outcome, by, key }) =>
      audit.commit({ type: 'key', success: true, level: 'info', action, outcome, by, key }),
    Date.now,
  ),
  lifetimeMs: 86_400_000,
  lifetimeMsMax: 86_400_000,
})

async function work(): Promise<never> {
  for (let i = 0; ; i++) {
    const name = randomBytes(8).toString('hex')
    const made = await keys.createKey({ tenant: 'a', user: 'alice', name, scopes: ['read'] }, localOperator)
    if (!made.ok) throw new Error(made.reason)
    writeSync(1, `+ ${made.text}\n`)
    if (i % 2 === 0) continue
    const revoked = await keys.revokeKey(made.key.id, localOperator)
    if (!revoked.ok) throw new Error(revoked.reason)
    writeSync(1, `- ${made.text}\n`)
  }
}

/** Calls beside the changes, whose records nobody waits for. */
setInterval(() => {
  for (let i = 0; i < 20; i++) audit.append({ type: 'tool_access', success: true, level: 'info', tool: 'echo' })
}, 1)

await Promise.all(Array.from({ length: 8 }, work))
