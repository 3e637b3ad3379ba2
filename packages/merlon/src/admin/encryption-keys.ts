import * as z from 'zod'
import { type Operation, operation } from './operation.ts'

const encryptionKey = z.strictObject({
  purpose: z.string().describe('What is sealed with it.'),
  algorithm: z.string(),
  derivedFrom: z.string().describe('The key that it comes from, never the key itself.'),
})

export const encryptionKeyOperations: readonly Operation[] = [
  operation({
    name: 'encryption-keys.list',
    method: 'GET',
    path: '/api/encryption-keys',
    summary: 'Lists what is sealed, and with keys of which purpose. Nothing of a key is shown.',
    access: { scope: 'admin' },
    reach: 'installation',
    answer: z.strictObject({ items: z.array(encryptionKey) }),
    run: ({ parts }) => ({
      items: parts.sealedFor.map((purpose) => ({ purpose, algorithm: 'AES-256-GCM', derivedFrom: 'root key' })),
    }),
  }),
]
