import * as z from 'zod'
import type { ShownSigningKey } from '../identity/signing-keys.ts'
import { type Operation, operation } from './operation.ts'
import { done } from './refused.ts'
import { byId, id, maybeTime, time, timeOf } from './shapes.ts'

const signingKey = z.strictObject({
  id,
  alg: z.string(),
  state: z
    .enum(['published', 'signing', 'retiring', 'destroyed'])
    .describe(
      'published: in the key set, and does not sign yet. signing: signs. retiring: signs no more, and what it signed is good until it ends. destroyed: nothing it signed is good.',
    ),
  createdAt: time,
  activeFrom: time,
  retiredAt: time.optional(),
  destroyedAt: time.optional(),
})

function show(key: ShownSigningKey): z.input<typeof signingKey> {
  const retiredAt = maybeTime(key.retiredAt)
  const destroyedAt = maybeTime(key.destroyedAt)
  return {
    id: key.id,
    alg: key.alg,
    state: key.state,
    createdAt: timeOf(key.createdAt),
    activeFrom: timeOf(key.activeFrom),
    ...(retiredAt === undefined ? {} : { retiredAt }),
    ...(destroyedAt === undefined ? {} : { destroyedAt }),
  }
}

const forOperators = { access: { scope: 'admin' }, reach: 'installation' } as const

export const signingKeyOperations: readonly Operation[] = [
  operation({
    name: 'signing-keys.list',
    method: 'GET',
    path: '/api/signing-keys',
    summary: 'Lists the keys that sign access tokens.',
    ...forOperators,
    answer: z.strictObject({ items: z.array(signingKey) }),
    run: async ({ parts, actor }) => ({ items: done(await parts.signingKeys.list(actor)).keys.map(show) }),
  }),
  operation({
    name: 'signing-keys.rotate',
    method: 'POST',
    path: '/api/signing-keys',
    summary: 'Publishes a new key, which signs ten minutes later. Where one is published already, that is the answer.',
    ...forOperators,
    confirmed: true,
    status: 201,
    answer: signingKey,
    run: async ({ parts, actor }) => show(done(await parts.signingKeys.rotate(actor)).key),
  }),
  operation({
    name: 'signing-keys.retire',
    method: 'DELETE',
    path: '/api/signing-keys/{id}',
    summary: 'Destroys a key at once, with all that it signed. Another signs from now on.',
    ...forOperators,
    confirmed: true,
    status: 200,
    refuses: ['entry.unknown'],
    params: byId,
    answer: signingKey,
    run: async ({ parts, actor }, { params }) => show(done(await parts.signingKeys.retire(params.id, actor)).key),
  }),
]
