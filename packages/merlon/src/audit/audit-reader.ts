import type { Instant } from '../call.ts'
import type { SignedHead } from './head.ts'

/** Whose records may be read: those of one tenant, or all of them, with those that belong to no tenant. */
export type AuditReach = { readonly tenant: string } | { readonly everyTenant: true }

/** What to look for. What is absent does not narrow; what is given must be equal. */
export interface AuditFilter {
  readonly reach: AuditReach
  /** The first moment that counts, and the first that counts no longer. */
  readonly from?: Instant | undefined
  readonly to?: Instant | undefined
  readonly type?: string | undefined
  readonly level?: string | undefined
  readonly success?: boolean | undefined
  readonly requestId?: string | undefined
  readonly clientId?: string | undefined
  readonly principal?: string | undefined
  /** Of a change: the key, the action, who did it, to what. */
  readonly key?: string | undefined
  readonly action?: string | undefined
  readonly by?: string | undefined
  readonly target?: string | undefined
  readonly method?: string | undefined
  readonly tool?: string | undefined
  readonly code?: string | undefined
  readonly ip?: string | undefined
}

export interface AuditQuery extends AuditFilter {
  /** Where a page before this one ended: its `next`. */
  readonly after?: string | undefined
  /** 1 to 1,000. */
  readonly limit: number
}

/** One record as it stands in the log. `seq` counts within its log; `segment` names the file. */
export type AuditRecord = Readonly<Record<string, unknown>> & {
  readonly seq: number
  readonly timestamp: string
  readonly type: string
  readonly success: boolean
  readonly level: string
}

/** Newest first. A page may be short and still have a `next`: one page reads a bounded part of the log. */
export interface AuditPage {
  readonly records: readonly AuditRecord[]
  /** Where to go on; absent where nothing older is left. */
  readonly next: string | undefined
}

export type ExportFormat = 'jsonl' | 'csv'

/** Reads the log of an installation, beside its writer. */
export interface AuditReader {
  /** Throws `params.invalid` for a limit or a mark that is none. */
  query(query: AuditQuery): Promise<AuditPage>
  /** Records from now on, oldest first, until the signal says so. */
  tail(filter: AuditFilter, signal: AbortSignal): AsyncIterable<AuditRecord>
  /** All that fits, oldest first, as text in pieces of a bounded size. */
  export(filter: AuditFilter, format: ExportFormat): AsyncIterable<string>
  /** The newest signed head; `undefined` where nothing was signed yet. */
  head(): Promise<SignedHead | undefined>
  /** Reads the whole log and checks chain, tree and heads. Heads that were kept elsewhere are held against it. */
  verify(kept?: readonly SignedHead[]): Promise<AuditVerdict>
  /** The key that heads are verified with, as PEM. */
  readonly publicKey: string
}

/** What a verification found. */
export interface AuditVerdict {
  /** Whether nothing was found. */
  readonly ok: boolean
  readonly problems: readonly AuditProblem[]
  readonly logs: readonly VerifiedLog[]
  /** Records read, in all logs. */
  readonly records: number
}

/** One log: its identity, and how far it is proved. */
export interface VerifiedLog {
  readonly log: string
  /** The number of its first record that is there: not 0 where retention removed older ones. */
  readonly first: number
  /** How many records it has had in all: one more than the number of its last. */
  readonly size: number
  /** How many of these the last valid head covers. */
  readonly signed: number
  readonly segments: number
}

export type AuditProblemKind =
  /** A line was changed, or is no record. */
  | 'edited'
  /** A line is there that was never written. */
  | 'inserted'
  /** Lines are missing between others. */
  | 'removed'
  /** Lines stand in another order. */
  | 'reordered'
  /** The end is missing: a head covers more than there is. */
  | 'truncated'
  /** The beginning is missing, and no retention removed it. */
  | 'beginning-missing'
  /** Two different logs were signed under one identity. */
  | 'forked'
  /** The lines fit each other and not the signed heads: someone wrote them anew. */
  | 'rewritten'
  /** A head is of another log. */
  | 'replaced'
  /** A head is not signed by this key. */
  | 'head-invalid'
  /** Nothing in it is signed. */
  | 'unsigned'
  /** The server itself found the log before it tampered with, and began a new one. */
  | 'found-tampered'

export interface AuditProblem {
  readonly kind: AuditProblemKind
  readonly log: string | undefined
  /** The number of the record where it is, as it should be at that place. */
  readonly seq: number | undefined
  readonly file: string | undefined
  /** From 1. */
  readonly line: number | undefined
  readonly says: string
}
