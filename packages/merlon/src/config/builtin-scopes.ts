import { adminScope } from '../policy/scopes.ts'

/** The scopes that exist without being declared. `metrics` reaches the metrics of the control plane and nothing else. */
export const builtInScopes: readonly string[] = Object.freeze(['read', 'write', 'metrics', adminScope])
