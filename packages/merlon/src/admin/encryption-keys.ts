import * as z from 'zod'
import { admin, type Operation, operation } from './operation.ts'

const encryptionKey = z.strictObject({
  purpose: z.string().describe('What it is for. No two purposes share a key.'),
  algorithm: z.string(),
  derivedFrom: z
    .enum(['root key', 'API_KEY_SECRET', 'data key'])
    .describe('A data key is of one tenant, and wrapped by one of the root key.'),
})
export type KeyInForce = z.output<typeof encryptionKey>

export const encryptionKeyOperations: readonly Operation[] = [
  operation({
    name: 'encryption-keys.list',
    method: 'GET',
    path: '/api/encryption-keys',
    summary: 'Lists the keys in force, each for one purpose. Nothing of a key is shown.',
    access: admin,
    reach: 'installation',
    answer: z.strictObject({ items: z.array(encryptionKey) }),
    run: ({ parts }) => ({
      items: [...parts.keysInForce],
    }),
  }),
]
