/** The rows of the SQL stores. Times are milliseconds since the epoch; lists of scopes are joined by spaces. */
export interface Tables {
  tenants: { id: string; created_at: number }
  users: {
    id: string
    tenant: string
    name: string
    role: string
    status: 'active' | 'disabled'
    created_at: number
    changed: number
  }
  api_keys: {
    id: string
    tenant: string
    owner: string
    name: string
    scopes: string
    digest: Uint8Array
    pepper: string
    last4: string
    created_at: number
    expires_at: number
    revoked_at: number | null
    last_used_at: number | null
    changed: number
  }
  retired_secrets: { key_id: string; digest: Uint8Array; grace_until: number; changed: number }
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
  histories: { session: Uint8Array; tenant: string; salt: Uint8Array; next: number; floor: number }
  /** For each stream of a history the last event that is no longer kept. */
  history_streams: { session: Uint8Array; stream: number; tenant: string; lost: number }
  history_events: {
    session: Uint8Array
    seq: number
    stream: number
    tenant: string
    at: number
    sealed: Uint8Array
  }
}
