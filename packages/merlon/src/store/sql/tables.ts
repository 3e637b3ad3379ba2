import type { Generated } from 'kysely'

/** The rows of the SQL stores. Times are milliseconds since the epoch; lists of scopes are joined by spaces. */
export interface Tables {
  tenants: {
    id: string
    name: string
    status: 'active' | 'suspended'
    scopes: string | null
    created_at: number
    updated_at: number
    version: number
    changed: number
  }
  users: {
    id: string
    tenant: string
    /** Of a removed user: its id behind a `!`, which no name begins with. */
    name: string
    email: string | null
    role: string
    status: 'active' | 'disabled'
    password: string | null
    /** The sealed secret. */
    second_factor: Generated<string | null>
    /** Null: it was begun, and is not asked for. */
    second_factor_at: Generated<number | null>
    /** The last that was used. */
    second_factor_step: Generated<number>
    /** Digests. */
    recovery_codes: Generated<string>
    created_at: number
    updated_at: number
    version: number
    removed_at: number | null
    changed: number
  }
  agents: {
    id: string
    tenant: string
    owner: string
    name: string
    type: string
    /** JSON. */
    capabilities: string
    /** JSON. */
    metadata: string
    status: 'active' | 'inactive' | 'error'
    created_at: number
    updated_at: number
    version: number
    removed_at: number | null
    changed: number
  }
  api_keys: {
    id: string
    tenant: string
    owner: string
    agent: string | null
    use: 'mcp' | 'control'
    name: string
    scopes: string
    address_ranges: string | null
    active: 0 | 1
    digest: Uint8Array
    pepper: string
    last4: string
    created_at: number
    updated_at: number
    expires_at: number
    revoked_at: number | null
    last_used_at: number | null
    version: number
    changed: number
  }
  retired_secrets: { key_id: string; digest: Uint8Array; grace_until: number; changed: number }
  sign_ins: {
    id: string
    tenant: string
    user_id: string
    address: string | null
    created_at: number
    expires_at: number
    revoked_at: number | null
    confirmed_at: number | null
    changed: number
  }
  blocked_subjects: {
    id: string
    issuer: string
    subject: string
    /** Null: every tenant. */
    tenant: string | null
    blocked_by: string
    blocked_at: number
    changed: number
  }
  signing_keys: {
    id: string
    /** 1 for the first that was made. */
    place: number
    alg: string
    public_jwk: string
    sealed: Uint8Array | null
    created_at: number
    active_from: number
    retired_at: number | null
    destroyed_at: number | null
  }
  /** One row: how many changes there have been. */
  identity_revision: { id: number; value: number }
  installation: { name: string; value: string }
  data_keys: {
    id: string
    tenant: string
    purpose: string
    root: string
    wrapped: Uint8Array
    created_at: number
    replaced_at: number | null
    destroyed_at: number | null
  }
  kept_keys: {
    purpose: string
    root: string
    wrapped: Uint8Array
    derived_from: string | null
    created_at: number
  }
  sessions: {
    session: Uint8Array
    listed: string
    tenant: string
    binding: Uint8Array
    principal: Uint8Array
    credential: Uint8Array
    expires_at: number
    used_at: number
    version: number
    sealed: Uint8Array
  }
  session_counts: { scope: string; alive: number }
  session_news: { revision: number; session: Uint8Array; over: 0 | 1; at: number }
  session_revision: { id: number; value: number; withdrawn: number }
  histories: { session: Uint8Array; tenant: string; salt: Uint8Array; next: number; floor: number }
  history_streams: {
    session: Uint8Array
    stream: number
    tenant: string
    /** The last event that is no longer kept. */
    lost: number
    /** The replica that makes its events. */
    producer: string | null
    /** What it answers. */
    sealed: Uint8Array | null
    ended: Generated<0 | 1>
    /** The replica that who reads it is connected to. */
    reader: string | null
    claim: Generated<number>
    claimed_at: Generated<number>
    /** Of the session's own: the last change that was told in it. */
    told: Generated<number>
    /** The place of the last event that a resume named. */
    resumed: Generated<number>
  }
  history_events: {
    session: Uint8Array
    seq: number
    stream: number
    tenant: string
    at: number
    sealed: Uint8Array
  }
  replicas: { id: string; seen_at: number }
  mail: {
    revision: number
    id: Uint8Array
    tenant: string
    session: Uint8Array | null
    at: number
    sealed: Uint8Array
    /** A digest of the principal whose session it is. */
    owner: Uint8Array | null
  }
  /** One row: how many there have ever been, and what is there now. */
  mail_revision: { id: number; value: number; held: number; bytes: number }
}
