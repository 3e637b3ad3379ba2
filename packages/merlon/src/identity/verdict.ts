import type { Principal } from '../call.ts'

/**
 * What a check of a credential says. The reason, and the public id that was shown where there was one, are for the audit
 * record alone; outside all refusals look the same.
 */
export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  | {
      readonly ok: false
      readonly reason: string
      readonly credential: string | undefined
      /** It has been counted as a failed authentication already. */
      readonly counted?: true
    }

/** Which door a credential is shown at. What is good at one is good for nothing at the other. */
export type Door = 'mcp' | 'control'

/**
 * How a credential came: after `Bearer`, after `DPoP`, or in a header of its own. `proven`: it is asked about again for a
 * connection that was opened with it and its proof of possession. No header says that.
 */
export type Scheme = 'bearer' | 'dpop' | 'header' | 'proven'

/** What a proof of possession is about (RFC 9449 §4.3): the request that the credential came with, and over which connection. */
export interface Shown {
  readonly address: string
  readonly requestId: string
  readonly head: {
    readonly verb: string
    readonly path: string
    readonly headers: Readonly<Record<string, string | string[] | undefined>>
    readonly certificateThumbprint?: string | undefined
  }
}
