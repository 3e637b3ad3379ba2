import type { Principal } from '../call.ts'

/** What a check of a credential says. The reason is for the audit record alone; outside all refusals look the same. */
export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: string }
