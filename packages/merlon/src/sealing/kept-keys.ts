import type { KeyObject } from 'node:crypto'
import type { Instant, RandomBytes } from '../call.ts'
import { deriveKey } from './root-key.ts'
import type { RootKeys } from './root-keys.ts'
import type { KeptKey, KeptPurpose, RootStore } from './root-store.ts'
import { unwrapKey, wrapKey } from './wrap.ts'

const keyBytes = 32

export interface KeptKeysParts {
  readonly store: RootStore
  readonly roots: RootKeys
  /** Those that are needed. */
  readonly purposes: readonly KeptPurpose[]
  /** The root key whose check this is, for a store from before keys were kept: they were derived from it. */
  readonly rootOf: (check: string) => KeyObject | undefined
  readonly random: RandomBytes
  readonly now: Instant
}

/**
 * The keys of the installation, made at random on the first start and kept wrapped by the root key, so that another root key
 * can take its place and they stay. Throws, and makes nothing, where the store was made with a root key that is not here.
 */
export async function openKeptKeys(parts: KeptKeysParts): Promise<ReadonlyMap<KeptPurpose, KeyObject>> {
  const { store, roots, purposes, random, now } = parts
  const fresh = () =>
    purposes.map((purpose) => {
      const material = random(keyBytes)
      return keep(roots, purpose, material, undefined, random, now)
    })
  const standing = (await store.root()) ?? (await store.begin(roots.wraps.root, fresh()))
  if (!roots.wrapWith(standing)) throw new Error(wrongRoot)
  await checkAllOpen(store, roots)

  let kept = await store.kept()
  if (kept.length === 0) {
    const root = parts.rootOf(standing)
    if (root === undefined) throw new Error(wrongRoot)
    const derived = purposes.map((purpose) => {
      const key = deriveKey(root, purpose)
      return keep(roots, purpose, key.export(), standing, random, now)
    })
    kept = await store.keep(derived)
  } else if (purposes.some((purpose) => !kept.some((key) => key.purpose === purpose))) kept = await store.keep(fresh())

  return new Map(
    kept.map((key) => {
      const opened = openKept(roots, key)
      if (opened === undefined) throw new Error(`the key for ${key.purpose} in the store was changed; restore a backup`)
      return [key.purpose, opened]
    }),
  )
}

/** Undefined where no root key that is here opens it. */
export function openKept(roots: RootKeys, { purpose, root, wrapped }: KeptKey): KeyObject | undefined {
  const wrapping = roots.find(root)
  return wrapping && unwrapKey(wrapping.kept, keptBinding(purpose), wrapped)
}

/** What a kept key is bound to: none opens in the place of another. */
export function keptBinding(purpose: KeptPurpose): Buffer {
  return Buffer.from(JSON.stringify(['kept', purpose]))
}

const wrongRoot =
  'the root key is not the one that this store was made with. Put the right ENCRYPTION_KEY or root.key back; without it the keys in the store are of no use'

/** Nothing is begun afresh over keys that only another root key opens. */
async function checkAllOpen(store: RootStore, roots: RootKeys): Promise<void> {
  let foreign = 0
  for (const [root, count] of await store.wrapped()) if (roots.find(root) === undefined) foreign += count
  if (foreign === 0) return
  throw new Error(
    `${foreign} keys in the store are still wrapped by the root key before this one. Put that one back as ENCRYPTION_KEY and this one into ENCRYPTION_KEY_NEXT (as files: root.key and root.key.next), and run \`merlon encryption-key rewrap\``,
  )
}

function keep(
  roots: RootKeys,
  purpose: KeptPurpose,
  material: Buffer,
  derivedFrom: string | undefined,
  random: RandomBytes,
  createdAt: Instant,
): KeptKey {
  const { root, kept } = roots.wraps
  const wrapped = wrapKey(kept, keptBinding(purpose), material, random)
  material.fill(0)
  return { purpose, root, wrapped, derivedFrom, createdAt }
}
