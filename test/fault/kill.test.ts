import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { verifyAudit } from '../../packages/merlon/src/audit/verify.ts'
import { ChangePoll } from '../../packages/merlon/src/identity/change-poll.ts'
import { keyDigest } from '../../packages/merlon/src/identity/key-digest.ts'
import { parseKey } from '../../packages/merlon/src/identity/key-format.ts'
import { KeyRing } from '../../packages/merlon/src/identity/key-ring.ts'
import { everyTenant } from '../../packages/merlon/src/identity/reach.ts'
import { deriveKey, openRootKey } from '../../packages/merlon/src/sealing/root-key.ts'
import { openSqlIdentity } from '../../packages/merlon/src/store/sql/identity-stores.ts'
import { openLog, signerOf } from './audit-log.ts'

const kills = 20
const worker = join(import.meta.dirname, 'key-worker.ts')
const folder = mkdtempSync(join(tmpdir(), 'merlon-kill-'))
const file = join(folder, 'merlon.db')
const acknowledged = { made: new Set<string>(), revoked: new Set<string>() }

beforeAll(async () => {
  openRootKey({ folder, storeHasData: false })
  const store = await openSqlIdentity({ file })
  await store.tenants.ensureTenant('a', 1)
  await store.users.createUser({ id: 'usr_alice', tenant: 'a', name: 'alice', role: 'user', status: 'active' }, 1)
  await store.close()
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/**
 * Runs the worker until it has acknowledged so many changes, kills it so many milliseconds later, wherever it then is, and
 * notes all that it had said by then.
 */
async function workThenKill(acknowledgements: number, thenMs: number): Promise<void> {
  const child = spawn(process.execPath, [worker, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let heard = 0
  for await (const line of createInterface({ input: child.stdout })) {
    // A line that the kill cut short was not acknowledged.
    const key = parseKey(line.slice(2))
    if (key === undefined) continue
    const set = line.startsWith('+ ') ? acknowledged.made : acknowledged.revoked
    set.add(key.text)
    if (++heard === acknowledgements) setTimeout(() => child.kill('SIGKILL'), thenMs)
  }
  const [, signal] = await closed
  clearTimeout(deadline)
  expect(signal).toBe('SIGKILL')
  expect(heard).toBeGreaterThanOrEqual(acknowledgements)
}

/** The files of the audit log, oldest first. */
function auditFiles(): string[] {
  const names = readdirSync(folder).filter((name) => /^audit(?:-[0-9]+)?\.jsonl$/.test(name))
  return names.sort((left, right) =>
    left === 'audit.jsonl' ? 1 : right === 'audit.jsonl' ? -1 : left < right ? -1 : 1,
  )
}

function auditRecords(): Record<string, unknown>[] {
  return auditFiles().flatMap((name) =>
    readFileSync(join(folder, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  )
}

it(`AL-02: keeps every acknowledged key and revoke, and a log that is whole, through ${kills} kills (F1, F21)`, {
  timeout: 300_000,
}, async () => {
  const pepper = deriveKey(openRootKey({ folder, storeHasData: true }).key, 'api-key-pepper')
  const roles = new Map([['user', new Set(['read'])]])
  for (let kill = 0; kill < kills; kill++) {
    await workThenKill(15 + ((kill * 13) % 50), (kill * 7) % 30)
    const store = await openSqlIdentity({ file })
    const poll = new ChangePoll({ store: store.installation, clock: Date.now })
    const ring = new KeyRing({ store: store.keys, poll, digest: keyDigest(pepper), roles, clock: Date.now })
    for (const text of acknowledged.made) {
      const { id } = parseKey(text)!
      const verdict = await ring.authenticate(text, 'mcp', undefined)
      if (acknowledged.revoked.has(text)) expect(verdict).toEqual({ ok: false, reason: 'revoked', credential: id })
      // A revoke that was under way when the kill came may have been done and not acknowledged.
      else if (!verdict.ok) expect(verdict.reason).toBe('revoked')
      else expect(verdict.principal.credential).toBe(id)
    }
    await store.close()
  }

  // Each worker went on with the log where the kill had left it; what the last one left is healed the same way.
  await (await openLog(folder, (cause) => expect.unreachable(String(cause)))).close()
  const records = auditRecords()
  const verdict = await verifyAudit({
    files: auditFiles().map((name) => join(folder, name)),
    publicKey: signerOf(folder).publicKey,
    headFiles: [join(folder, 'audit-heads.jsonl')],
  })
  expect(verdict).toMatchObject({ ok: true, problems: [], records: records.length, logs: [{ size: records.length }] })
  expect(verdict.logs).toHaveLength(1)
  expect(records.filter(({ action }) => action === 'tamper')).toEqual([])

  const done = new Set(records.flatMap(({ action, outcome, key }) => (outcome === 'done' ? [`${action} ${key}`] : [])))
  for (const text of acknowledged.made) expect(done).toContain(`key.create ${parseKey(text)!.id}`)
  for (const text of acknowledged.revoked) expect(done).toContain(`key.revoke ${parseKey(text)!.id}`)

  const intended = new Set(records.map(({ action, key }) => `${action} ${key}`))
  const store = await openSqlIdentity({ file })
  const all = await store.keys.listKeys({ tenant: everyTenant, limit: 100_000 })
  for (const key of all) {
    expect(intended).toContain(`key.create ${key.id}`)
    if (key.revokedAt !== undefined) expect(intended).toContain(`key.revoke ${key.id}`)
  }
  await store.close()
  const { made, revoked } = acknowledged
  console.info(
    `${made.size + revoked.size} acknowledged changes checked after ${kills} kills: ${made.size} keys made, ${revoked.size} revoked; ${all.length} keys in the store; ${records.length} records in ${auditFiles().length} files are whole`,
  )
})
