import type { Instant } from '../call.ts'

/** What a record says happened. `jq` selects on these names. */
export interface AuditEntry {
  readonly type:
    | 'auth'
    | 'access'
    | 'tool_access'
    | 'rate_limit'
    | 'session_violation'
    | 'session'
    | 'edge'
    | 'key'
    | 'user'
    | 'agent'
    | 'tenant'
    | 'sign_in'
    | 'subject'
    | 'signing_key'
    | 'encryption_key'
    | 'alert'
    | 'config'
    | 'limiter'
    | 'crypto'
    | 'server'
    /** What the log says of itself. */
    | 'segment'
    | 'head'
    | 'audit'
  readonly success: boolean
  readonly level: 'info' | 'warn' | 'error'
  readonly requestId?: string | undefined
  readonly ip?: string | undefined
  /** Over what it came, where that has no address. */
  readonly transport?: 'stdio' | undefined
  /** The public id of the credential. */
  readonly clientId?: string | undefined
  readonly principal?: string | undefined
  readonly tenant?: string | undefined
  readonly method?: string | undefined
  readonly tool?: string | undefined
  readonly target?: string | undefined
  readonly scope?: string | undefined
  /** The code of the refusal, from the error table. */
  readonly code?: string | undefined
  /** What the caller is not told: which check refused. Never client text. */
  readonly reason?: string | undefined
  readonly outcome?: string | undefined
  /**
   * Of a change: what was done (`users.create`), by whom, to what (`target`, or `key`), and what came of it (`outcome`).
   * `tenant` is the one it was done to, so that its people see what an operator did there.
   */
  readonly action?: string | undefined
  readonly by?: string | undefined
  readonly key?: string | undefined
  readonly detail?: Readonly<Record<string, string | number | readonly string[]>> | undefined
  readonly durationMs?: number | undefined
  /** The trace that the caller says it belongs to. It proves nothing. */
  readonly traceId?: string | undefined
}

/** Where decisions are recorded. */
export interface AuditLog {
  /**
   * Takes the record of one decision; it is written within `flushMs`. Never throws: `check` tells beforehand whether
   * records can be taken, and a call that cannot be recorded is not made.
   */
  append(entry: AuditEntry): void
  /** The same for a line that is a JSON object's members already, without braces and timestamp. The path of a call uses it. */
  appendLine(members: string): void
  /** Records a change and answers when it is on the disk. Rejects where that failed. */
  commit(entry: AuditEntry): Promise<void>
  /** Throws `audit.unavailable` while records cannot be written or too many wait. */
  check(): void
  close(): Promise<void>
}

const fieldLengthMax = 512

/**
 * A value as JSON text that is safe on one line of a terminal: control, escape and bidirectional characters are written
 * as `\\u….`, and a long text is cut.
 */
export function auditText(value: string): string {
  const known = texts.get(value)
  if (known !== undefined) return known
  const cut = value.length > fieldLengthMax ? `${value.slice(0, fieldLengthMax)}…` : value
  const text = printable(JSON.stringify(cut))
  if (value.length <= rememberedLengthMax) {
    if (texts.size >= rememberedMax) texts.clear()
    texts.set(value, text)
  }
  return text
}

/** Records name the same few methods, tools and addresses again and again. */
const texts = new Map<string, string>()
const rememberedMax = 1_000
const rememberedLengthMax = 64

/** JSON text without a character that a terminal would act on or that would hide another. */
function printable(json: string): string {
  return json.replace(/[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** The members of a record, in a fixed order; what is undefined is left out. */
export function encodeEntry(entry: AuditEntry): string {
  let line = `"level":"${entry.level}","type":"${entry.type}","success":${entry.success}`
  for (const [name, value] of Object.entries(entry)) {
    if (value === undefined || name === 'level' || name === 'type' || name === 'success') continue
    line += `,"${name}":${typeof value === 'string' ? auditText(value) : printable(JSON.stringify(value))}`
  }
  return line
}

/** The members of a record with its time before them: all of a line but its place in the log. */
export function encodeMembers(members: string, at: Instant): string {
  return `"timestamp":"${stamp(at)}",${members}`
}

let stampedAt: Instant = Number.NaN
let stamped = ''

/** The time in UTC with milliseconds. Many records share a millisecond, so the last one is remembered. */
function stamp(at: Instant): string {
  if (at !== stampedAt) {
    stampedAt = at
    stamped = new Date(at).toISOString()
  }
  return stamped
}
