import * as z from 'zod'
import { Fault } from '../errors.ts'
import { dataPurposes, type WrappedKey } from '../sealing/data-key-store.ts'
import { type Ended, type KeyFinding, stateOf } from '../sealing/encryption-keys.ts'
import { type KeptKey, type KeptPurpose, keptPurposes } from '../sealing/root-store.ts'
import { type Operation, operation } from './operation.ts'
import { done } from './refused.ts'
import { byId, given, maybeTime, tenantId, text, time, timeOf } from './shapes.ts'

const purpose = z.enum(dataPurposes)
const state = z
  .enum(['sealing', 'replaced', 'destroyed'])
  .describe(
    'sealing: seals what is written now. replaced: seals nothing new, and opens what it sealed. destroyed: nothing it sealed can be read.',
  )

const encryptionKey = z.strictObject({
  id: text(128),
  tenant: tenantId.optional().describe('Without one it is a key of the installation.'),
  purpose: text(64).describe('What it is for. No two purposes share a key.'),
  algorithm: z.string(),
  state,
  wrappedBy: z
    .string()
    .optional()
    .describe('The root key that wraps it: 8 digits that tell one from another. Absent where none does.'),
  derivedFrom: z
    .string()
    .optional()
    .describe(
      'The root key that it was derived from, in a store from before keys were made at random: who has that one has this one.',
    ),
  createdAt: time,
  replacedAt: time.optional(),
  destroyedAt: time.optional(),
})
type Shown = z.input<typeof encryptionKey>

function showKept({ purpose, root, derivedFrom, createdAt }: KeptKey): Shown {
  return given({
    id: purpose,
    purpose,
    algorithm: algorithms[purpose],
    state: 'sealing' as const,
    wrappedBy: root.slice(0, 8),
    derivedFrom: derivedFrom?.slice(0, 8),
    createdAt: timeOf(createdAt),
  }) as Shown
}

const algorithms: Readonly<Record<KeptPurpose, string>> = {
  'api-key-pepper': 'HMAC-SHA-256',
  'session-id': 'HMAC-SHA-256',
  'event-id': 'HMAC-SHA-256',
  'question-id': 'HMAC-SHA-256',
  mail: 'AES-256-GCM',
  'request-state': 'AES-256-GCM',
  cursor: 'AES-256-GCM',
  'signing-key': 'AES-256-GCM',
  'second-factor': 'AES-256-GCM',
  'recovery-code': 'HMAC-SHA-256',
  'audit-head': 'Ed25519',
  'audit-digest': 'HMAC-SHA-256',
}

function show(key: WrappedKey): Shown {
  return given({
    id: key.id,
    tenant: key.tenant,
    purpose: key.purpose,
    algorithm: 'AES-256-GCM',
    state: stateOf(key),
    wrappedBy: key.destroyedAt === undefined ? key.root.slice(0, 8) : undefined,
    createdAt: timeOf(key.createdAt),
    replacedAt: maybeTime(key.replacedAt),
    destroyedAt: maybeTime(key.destroyedAt),
  }) as Shown
}

const counts = z.record(z.string(), z.int()).describe('How many records of each kind.')
const ended = z.strictObject({ ...encryptionKey.shape, lost: counts.describe('What can no longer be read.') })

function showEnded(outcome: Ended, id: string): z.input<typeof ended> {
  if (outcome.ok) return { ...show(outcome.key), lost: outcome.lost }
  switch (outcome.reason) {
    case 'unknown':
      // The list shows it, so it is not said that there is none.
      if (keptPurposes.some((each) => each === id))
        throw conflict('installation', 'It is a key of the installation, and is kept as long as that is.')
      throw new Fault('entry.unknown', { reason: 'encryption-key-unknown' })
    case 'sealing':
      throw conflict('sealing', 'It seals what is written now. Rotate first, or destroy it by force.')
    case 'early':
      throw conflict(
        'early',
        'It was replaced a moment ago, and what it sealed may still be on its way. Wait ten seconds.',
      )
    case 'needed': {
      const { needs } = outcome
      const told = Object.entries(needs).map(([kind, count]) => `${count} ${kind}`)
      throw conflict('needed', `Records need it: ${told.join(', ')}.`, needs)
    }
  }
}

function conflict(reason: string, says: string, records?: Readonly<Record<string, number>>): Fault {
  return new Fault('change.conflict', { reason, says, ...(records === undefined ? {} : { data: { records } }) })
}

const finding = z.strictObject({
  id: text(128),
  tenant: tenantId.optional(),
  purpose: text(64),
  state: z.enum([...state.options, 'missing']).describe('missing: records name it, and there is no such key.'),
  usable: z.boolean().describe('Whether the root key opens it. A destroyed key never is.'),
  records: z.int(),
  unreadable: z.int(),
})

/** Nothing is lost but what was destroyed on purpose. */
function isWell({ state, usable, unreadable }: Pick<KeyFinding, 'state' | 'usable' | 'unreadable'>): boolean {
  return unreadable === 0 && (usable || state === 'destroyed')
}

const forOperators = { access: { scope: 'admin' }, reach: 'installation' } as const

export const encryptionKeyOperations: readonly Operation[] = [
  operation({
    name: 'encryption-keys.list',
    method: 'GET',
    path: '/api/encryption-keys',
    summary: 'Lists the keys of the installation, and those of each tenant. Nothing of a key is shown.',
    ...forOperators,
    answer: z.strictObject({ items: z.array(encryptionKey) }),
    run: async ({ parts }) => ({
      items: [...(await parts.rootChange.kept()).map(showKept), ...(await parts.encryptionKeys.list()).map(show)],
    }),
  }),
  operation({
    name: 'encryption-keys.rotate',
    method: 'POST',
    path: '/api/encryption-keys',
    summary: 'Puts a new key in the place of each that seals. What the old ones sealed is sealed anew by and by.',
    ...forOperators,
    confirmed: true,
    refuses: ['entry.unknown'],
    body: z
      .strictObject({
        tenant: tenantId.optional(),
        purpose: purpose.optional(),
        before: time
          .optional()
          .describe('Only keys made before this: asking again after an outage replaces those that are left.'),
      })
      .optional(),
    answer: z.strictObject({ replaced: z.int() }),
    run: async ({ parts, actor }, { body }) => {
      const { tenant, purpose, before } = body ?? {}
      const moment = before === undefined ? undefined : Date.parse(before)
      // Who rotates after a leak and misspells a tenant must not read that nothing was left to replace.
      const known = tenant === undefined || (await parts.encryptionKeys.list()).some((key) => key.tenant === tenant)
      if (!known) done(await parts.tenants.get(tenant, actor))
      return { replaced: await parts.encryptionKeys.rotate({ tenant, purpose, before: moment }, actor.id) }
    },
  }),
  operation({
    name: 'encryption-keys.retire',
    method: 'POST',
    path: '/api/encryption-keys/{id}/retire',
    summary: 'Erases a replaced key that nothing needs. Refused while a record needs it.',
    ...forOperators,
    confirmed: true,
    refuses: ['entry.unknown', 'change.conflict'],
    params: byId,
    answer: ended,
    run: async ({ parts, actor }, { params }) =>
      showEnded(await parts.encryptionKeys.retire(params.id, actor.id), params.id),
  }),
  operation({
    name: 'encryption-keys.destroy',
    method: 'POST',
    path: '/api/encryption-keys/{id}/destroy',
    summary:
      'Erases a key, as retire does. By force at once, and also one that records need: they are lost, and sessions among them end.',
    ...forOperators,
    confirmed: true,
    refuses: ['entry.unknown', 'change.conflict'],
    params: byId,
    body: z
      .strictObject({ force: z.boolean().optional().describe('Also where records need it, or while it seals.') })
      .optional(),
    answer: ended,
    run: async ({ parts, actor }, { params, body }) =>
      showEnded(await parts.encryptionKeys.destroy(params.id, body?.force ?? false, actor.id), params.id),
  }),
  operation({
    name: 'encryption-keys.verify',
    method: 'POST',
    path: '/api/encryption-keys/verify',
    summary: 'Opens every record that is kept sealed, and says of each key how many it holds and how many do not open.',
    ...forOperators,
    answer: z.strictObject({ ok: z.boolean(), items: z.array(finding) }),
    run: async ({ parts }) => {
      const sealedBy: Readonly<Record<string, { readonly records: number; readonly unreadable: number }>> = {
        'signing-key': await parts.signingKeys.verify(),
        'second-factor': await parts.secondFactors.verify(),
      }
      const kept = await parts.rootChange.verify()
      const items: z.input<typeof finding>[] = [
        ...kept.map(({ key: { purpose }, usable }) => ({
          ...{ id: purpose, purpose, state: 'sealing' as const, usable },
          ...(sealedBy[purpose] ?? { records: 0, unreadable: 0 }),
        })),
        ...(await parts.encryptionKeys.verify()).map(({ tenant, ...rest }) => ({
          ...rest,
          ...(tenant === undefined ? {} : { tenant }),
        })),
      ]
      return { ok: items.every(isWell), items }
    },
  }),
  operation({
    name: 'encryption-keys.rewrap',
    method: 'POST',
    path: '/api/encryption-keys/rewrap',
    summary: 'Puts the next root key in the place of the present one. What is sealed stays; every key is wrapped anew.',
    ...forOperators,
    confirmed: true,
    refuses: ['change.conflict'],
    body: z
      .strictObject({
        make: z.boolean().optional().describe('Makes the next root key, where the present one is root.key.'),
      })
      .optional(),
    answer: z.strictObject({
      rootKey: z.string().describe('The root key that wraps everything now: 8 digits that tell one from another.'),
      rewrapped: z.int(),
      place: z
        .enum(['file', 'setting'])
        .describe('file: root.key is the new one. setting: the servers are to be started with the new one alone.'),
    }),
    run: async ({ parts, actor }, { body }) => {
      const done = await parts.rootChange.rewrap(body?.make ?? false, actor.id)
      if (done.ok) return { rootKey: done.root.slice(0, 8), rewrapped: done.rewrapped, place: done.place }
      throw done.reason === 'no-next'
        ? conflict('no-next', 'There is no next root key: give one as ENCRYPTION_KEY_NEXT or root.key.next.')
        : conflict(
            'cannot-make',
            'Others may need the same root key: make one, and give it to all as ENCRYPTION_KEY_NEXT or root.key.next.',
          )
    },
  }),
]
