import { expect, test } from 'vitest'
import { scopeSet } from '../policy/scopes.ts'
import type { KeyRecord } from './key-store.ts'
import { judge, know } from './key-verdict.ts'

const now = 1_800_000_000_000
const [present, retired] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
const record: KeyRecord = {
  id: 'key_000000000001',
  tenant: 't1',
  owner: 'usr_1',
  agent: undefined,
  use: 'mcp',
  name: 'laptop',
  scopes: ['read'],
  last4: 'abcd',
  addressRanges: undefined,
  active: true,
  createdAt: now,
  updatedAt: now,
  expiresAt: now + 90_000,
  revokedAt: undefined,
  lastUsedAt: undefined,
  version: 1,
  digest: present,
  pepper: 'p',
  retired: [{ digest: retired, graceUntil: now + 1_000 }],
  user: { id: 'usr_1', tenant: 't1', name: 'alice', role: 'user', status: 'active' },
  agentStatus: undefined,
  tenantStatus: 'active',
  tenantScopes: undefined,
}
const key = know(record, new Map([['user', scopeSet(['read', 'write'])]]))

test('AK-10: what is opened with a secret that was replaced ends with its grace, not with the key', () => {
  const endOf = (digest: Buffer, at = now) => {
    const verdict = judge(key, digest, at)
    return verdict.ok ? verdict.principal.expiresAt : verdict.reason
  }
  expect(endOf(present)).toBe(now + 90_000)
  expect(endOf(retired)).toBe(now + 1_000)
  expect(endOf(retired, now + 1_000)).toBe('retired-secret')
  const [old, young] = [judge(key, retired, now), judge(key, present, now)]
  expect(old.ok && young.ok && old.principal.binding === young.principal.binding).toBe(true)
})
