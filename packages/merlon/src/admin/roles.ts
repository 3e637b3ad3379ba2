import * as z from 'zod'
import { type Operation, operation, read } from './operation.ts'

const role = z.strictObject({ name: z.string(), scopes: z.array(z.string()) })

export const roleOperations: readonly Operation[] = [
  operation({
    name: 'roles.list',
    method: 'GET',
    path: '/api/roles',
    summary: 'Lists the roles of the configuration. They are changed there.',
    access: read,
    answer: z.strictObject({ items: z.array(role) }),
    run: ({ parts }) => ({
      items: [...parts.roles].map(([name, scopes]) => ({ name, scopes: [...scopes].sort() })),
    }),
  }),
]
