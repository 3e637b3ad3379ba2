import { adminScope } from '../policy/scopes.ts'

/** The scopes that exist without being declared. */
export const builtInScopes: readonly string[] = Object.freeze(['read', 'write', adminScope])
