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
}
