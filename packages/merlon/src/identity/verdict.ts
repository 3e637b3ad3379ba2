import type { Principal } from '../call.ts'

/**
 * What a check of a credential says. The reason, and the public id that was shown where there was one, are for the audit
 * record alone; outside all refusals look the same.
 */
export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: string; readonly credential: string | undefined }
