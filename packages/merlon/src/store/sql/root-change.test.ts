import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { DataKeys } from '../../sealing/data-keys.ts'
import { openKeptKeys } from '../../sealing/kept-keys.ts'
import { RootChange } from '../../sealing/root-change.ts'
import { deriveKey, rootKeyCheck } from '../../sealing/root-key.ts'
import { openRoots } from '../../sealing/root-place.ts'
import { type KeptPurpose, keptPurposes } from '../../sealing/root-store.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlRootStore } from './root-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-root-change-'))
const postgres = await testPostgres()
const [one, two, other] = [1, 2, 3].map((byte) => createSecretKey(Buffer.alloc(32, byte))) as [
  KeyObject,
  KeyObject,
  KeyObject,
]

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
})

/** A start with these root keys: what it opens, and what changes them. `guard` stands before every verb of the stores. */
async function start(database: SqlDatabase, root: KeyObject, next?: KeyObject, guard: () => void = () => undefined) {
  const guarded = <Verbs extends object>(verbs: Verbs): Verbs =>
    new Proxy(verbs, {
      get(object, name) {
        const verb = Reflect.get(object, name, object) as unknown
        if (typeof verb !== 'function') return verb
        return async (...given: unknown[]) => {
          guard()
          return Reflect.apply(verb, object, given)
        }
      },
    })
  const store = new SqlRootStore(database)
  const dataKeys = new SqlDataKeyStore(database)
  const standing = await store.root()
  const opened = openRoots({ folder, rootKey: root, rootKeyNext: next, standing, shared: false })
  const { roots, rootOf, place } = opened
  const kept = await openKeptKeys({ store, roots, purposes: keptPurposes, rootOf, random: randomBytes, now: 1 })
  const keys = new DataKeys({ store: dataKeys, root: roots, random: randomBytes, clock: () => 1 })
  const lines: unknown[] = []
  const change = new RootChange({
    ...{ roots, place, random: randomBytes, store: guarded(store), dataKeys: guarded(dataKeys) },
    recorded: async (line, run) => {
      lines.push(line)
      return run()
    },
  })
  return { store, dataKeys, roots, kept: bytesOf(kept), keys, change, lines }
}

const bytesOf = (kept: ReadonlyMap<KeptPurpose, KeyObject>) =>
  Object.fromEntries([...kept].map(([purpose, key]) => [purpose, key.export().toString('hex')]))

/** The data keys as they open with these root keys. */
async function dataOf({ keys, dataKeys }: Awaited<ReturnType<typeof start>>): Promise<Record<string, string>> {
  const opened: Record<string, string> = {}
  for (const { id, tenant, purpose, destroyedAt } of await dataKeys.list()) {
    if (destroyedAt !== undefined) continue
    opened[id] = (await keys.opening(id, tenant, purpose))?.key.export().toString('hex') ?? 'does not open'
  }
  return opened
}

const wrongRoot = 'the root key is not the one that this store was made with'

function suite(name: string, target: () => Promise<SqlTarget>): void {
  describe(`the root key: ${name}`, () => {
    let database: SqlDatabase
    const fresh = async () => {
      database = await openDatabase(await target())
      return database
    }
    afterEach(() => database.close())

    test('CR-03: a new store is begun once, whoever comes first, with keys that no root key tells', async () => {
      await fresh()
      const starts = await Promise.all([one, one, one, one, one].map((root) => start(database, root)))
      for (const { kept } of starts) expect(kept).toEqual(starts[0]?.kept)
      expect(Object.keys(starts[0]!.kept).sort()).toEqual([...keptPurposes].sort())
      expect(new Set(Object.values(starts[0]!.kept)).size).toBe(keptPurposes.length)
      for (const purpose of keptPurposes)
        expect(starts[0]!.kept[purpose]).not.toBe(deriveKey(one, purpose).export().toString('hex'))
      const rows = JSON.stringify((await starts[0]!.store.kept()).map((key) => key.wrapped.toString('hex')))
      for (const bytes of Object.values(starts[0]!.kept)) expect(rows).not.toContain(bytes)
      expect(await start(database, one).then(({ kept }) => kept)).toEqual(starts[0]!.kept)
    })

    test('CR-12: with another root key it does not open, and nothing is begun afresh', async () => {
      await fresh()
      const { store, kept } = await start(database, one)
      const before = await store.kept()
      await expect(start(database, two)).rejects.toThrow(wrongRoot)
      await expect(start(database, two, other)).rejects.toThrow(wrongRoot)
      expect(await store.kept()).toEqual(before)
      expect(await store.root()).toBe(rootKeyCheck(one))
      expect((await start(database, one, two)).kept).toEqual(kept)
      // A row that was moved to another purpose opens as nothing.
      const [first, second] = before
      await database.db
        .updateTable('kept_keys')
        .set({ wrapped: first!.wrapped })
        .where('purpose', '=', second!.purpose)
        .execute()
      await expect(start(database, one)).rejects.toThrow(`the key for ${second!.purpose} in the store was changed`)
    })

    test('CR-05: everything is wrapped anew, and stays what it was; then the next root key alone opens it', async () => {
      await fresh()
      const first = await start(database, one)
      for (const tenant of ['a', 'b', 'c']) await first.keys.sealing(tenant, 'session')
      const gone = await first.keys.sealing('a', 'event')
      await first.dataKeys.replace(first.keys.mint('a', 'event'), gone.id, 2)
      await first.dataKeys.destroy(gone.id, 3)
      const data = await dataOf(first)
      const between = await start(database, one, two)
      expect(await between.change.rewrap(false, 'usr_boss')).toEqual({
        ...{ ok: true, root: rootKeyCheck(two), rewrapped: keptPurposes.length + 4, place: 'setting' },
      })
      expect(between.lines).toMatchObject([{ action: 'encryption-key.rewrap', by: 'usr_boss' }])
      expect(await between.change.rewrap(false, 'usr_boss')).toMatchObject({ ok: true, rewrapped: 0 })
      expect((await between.dataKeys.find((await between.keys.sealing('d', 'session')).id))?.root).toBe(
        rootKeyCheck(two),
      )
      await expect(start(database, one)).rejects.toThrow(wrongRoot)
      const after = await start(database, two)
      expect(after.kept).toEqual(first.kept)
      expect(await dataOf(after)).toMatchObject(data)
      expect((await after.change.verify()).every(({ usable }) => usable)).toBe(true)
      expect(await after.change.rewrap(false, 'usr_boss')).toEqual({ ok: false, reason: 'no-next' })
    })

    test('CR-05: a process that still has the old root key alone adds no key, so that none is left behind', async () => {
      await fresh()
      const behind = await start(database, one)
      const between = await start(database, one, two)
      await between.change.rewrap(false, 'me')
      await expect(behind.keys.sealing('late', 'session')).rejects.toMatchObject({ detail: { reason: 'root-key' } })
      expect([...(await between.store.wrapped()).keys()]).toEqual([rootKeyCheck(two)])
    })

    test('CR-05: a store from before keys were kept keeps what was derived from its root key, through a change of it', async () => {
      await fresh()
      await new SqlRootStore(database).begin(rootKeyCheck(one), [])
      await expect(start(database, two)).rejects.toThrow(wrongRoot)
      const first = await start(database, one)
      for (const purpose of keptPurposes)
        expect(first.kept[purpose]).toBe(deriveKey(one, purpose).export().toString('hex'))
      expect((await first.store.kept()).every(({ derivedFrom }) => derivedFrom === rootKeyCheck(one))).toBe(true)
      await (await start(database, one, two)).change.rewrap(false, 'me')
      expect((await start(database, two)).kept).toEqual(first.kept)
    })
  })
}

let files = 0
suite('sql on SQLite', async () => ({ file: join(folder, `root-${files++}.db`) }))
if ('reason' in postgres) describe.skip(`the root key: PostgreSQL: ${postgres.reason}`, () => undefined)
else suite('sql on PostgreSQL', async () => ({ databaseUrl: await postgres.database() }))

describe('the root key: a change that is cut short', () => {
  test('CR-05: loses nothing at any step, says what it needs, and goes on where it was', async () => {
    let cut = 0
    for (let whole = false; !whole; cut++) {
      const database = await openDatabase({ file: join(folder, `cut-${cut}.db`) })
      const first = await start(database, one)
      for (const tenant of ['a', 'b']) await first.keys.sealing(tenant, 'session')
      const data = await dataOf(first)
      let left = cut
      const killed = await start(database, one, two, () => {
        if (left-- <= 0) throw new Error('cut')
      })
      whole = (await killed.change.rewrap(false, 'me').catch(() => undefined))?.ok === true
      const wrapped = await first.store.wrapped()
      const begun = (await first.store.root()) === rootKeyCheck(two)

      // Both together always do; one alone does, or says why not.
      const both = await start(database, one, two)
      expect(both.kept).toEqual(first.kept)
      expect(await dataOf(both)).toEqual(data)
      if (begun) await expect(start(database, one)).rejects.toThrow(wrongRoot)
      else expect((await start(database, one)).kept).toEqual(first.kept)
      if (!begun) await expect(start(database, two)).rejects.toThrow(wrongRoot)
      else if (wrapped.has(rootKeyCheck(one)))
        await expect(start(database, two)).rejects.toThrow(
          `${wrapped.get(rootKeyCheck(one))} keys in the store are still wrapped by the root key before this one`,
        )
      else expect((await start(database, two)).kept).toEqual(first.kept)

      // As at a start: what was begun is finished, and what was not is left to be asked for.
      await both.change.resume('server')
      if (!begun) expect((await both.change.rewrap(false, 'me')).ok).toBe(true)
      const after = await start(database, two)
      expect(after.kept).toEqual(first.kept)
      expect(await dataOf(after)).toEqual(data)
      await database.close()
    }
    // It was cut at each key.
    expect(cut).toBeGreaterThan(keptPurposes.length + 2)
  })
})

test('CR-05: one process changes the root key in its file as often as it is asked to, each time to another', async () => {
  const place = mkdtempSync(join(folder, 'again-'))
  const database = await openDatabase({ file: join(place, '..', `again-${files++}.db`) })
  const store = new SqlRootStore(database)
  const opened = openRoots({
    folder: place,
    rootKey: undefined,
    rootKeyNext: undefined,
    standing: undefined,
    shared: false,
  })
  const { roots, rootOf } = opened
  await openKeptKeys({ store, roots, purposes: keptPurposes, rootOf, random: randomBytes, now: 1 })
  const change = new RootChange({
    ...{ roots, store, place: opened.place, random: randomBytes, dataKeys: new SqlDataKeyStore(database) },
    recorded: async (_line, run) => run(),
  })
  const seen = new Set([roots.wraps.root])
  for (let time = 1; time <= 3; time++) {
    expect(await change.rewrap(true, 'operator')).toMatchObject({ ok: true, rewrapped: keptPurposes.length })
    seen.add(roots.wraps.root)
    expect(seen.size).toBe(time + 1)
    expect(await store.root()).toBe(roots.wraps.root)
    expect(readdirSync(place)).toEqual(['root.key'])
    expect(await change.rewrap(false, 'operator')).toEqual({ ok: false, reason: 'no-next' })
  }
  expect((await change.verify()).every(({ usable }) => usable)).toBe(true)
  await database.close()
})

describe('the root key in a file', () => {
  const place = mkdtempSync(join(folder, 'place-'))
  const at = (name: string) => join(place, name)
  const open = (standing: string | undefined, more: { shared?: boolean; rootKeyNext?: KeyObject } = {}) =>
    openRoots({ folder: place, rootKey: undefined, rootKeyNext: undefined, standing, shared: false, ...more })

  test('CR-05: a next one is made once, and takes the place of the present one whole or not at all', () => {
    const first = open(undefined)
    const standing = first.roots.wraps.root
    expect(first.roots.next).toBeUndefined()
    const made = first.place.make?.()
    expect(readdirSync(place).sort()).toEqual(['root.key', 'root.key.next'])
    expect(first.place.make?.().equals(made!)).toBe(true)
    const next = rootKeyCheck(made!)
    const between = open(standing)
    expect([between.roots.wraps.root, between.roots.next?.root]).toEqual([standing, next])
    expect(() => between.place.adopt(standing)).toThrow('root.key.next is not the root key that wraps the keys')
    expect(readdirSync(place).sort()).toEqual(['root.key', 'root.key.next'])
    between.place.adopt(next)
    between.place.adopt(next)
    expect(readdirSync(place)).toEqual(['root.key'])
    expect(open(next).roots.wraps.root).toBe(next)
  })

  test('CR-12: a next one alone is taken where the store was made with it, and otherwise not', () => {
    const standing = open('some').roots.wraps.root
    renameSync(at('root.key'), at('root.key.next'))
    expect(() => open('another')).toThrow(/root\.key is missing, and the store holds data made with it/)
    expect(readdirSync(place)).toEqual(['root.key.next'])
    expect(open(standing).roots.wraps.root).toBe(standing)
    expect(readdirSync(place)).toEqual(['root.key'])
  })

  test('CR-04: a next one that is no key, or open to others, stops the start', () => {
    const { roots } = open('some')
    writeFileSync(at('root.key.next'), 'your-32-byte-encryption-key-here\n', { mode: 0o600 })
    expect(() => open(roots.wraps.root)).toThrow(/root\.key\.next is a placeholder.*; remove it/)
    writeFileSync(at('root.key.next'), readFileSync(at('root.key')))
    expect(open(roots.wraps.root).roots.next).toBeUndefined()
    rmSync(at('root.key.next'))
    writeFileSync(at('root.key.next'), `${randomBytes(32).toString('base64url')}\n`, { mode: 0o644 })
    expect(() => open(roots.wraps.root)).toThrow(/others can read the key file/)
    rmSync(at('root.key.next'))
  })

  test('none is made for servers that share a store, and the one of the settings goes before the file', () => {
    const standing = open('some').roots.wraps.root
    expect(open(standing, { shared: true }).place.make).toBeUndefined()
    const given = open(standing, { rootKeyNext: two })
    expect([given.place.kind, given.roots.next?.root]).toEqual(['setting', rootKeyCheck(two)])
  })
})
