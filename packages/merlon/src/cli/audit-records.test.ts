import { expect, test } from 'vitest'
import { recordColumns } from './audit-records.ts'

const of = (record: Readonly<Record<string, unknown>>) => recordColumns.find(({ head }) => head === 'OF')?.of(record)

test.each([
  ['usr_RHs0uDSlbUEs', { tenant: 'acme', detail: { user: 'usr_RHs0uDSlbUEs', name: 'ann' } }],
  ['agt_PsRvGLJlZ6J9', { tenant: 'acme', detail: { agent: 'agt_PsRvGLJlZ6J9', user: 'usr_RHs0uDSlbUEs' } }],
  ['sgn_M82IRcQI9wfXYQHuyXmeJe', { detail: { signIn: 'sgn_M82IRcQI9wfXYQHuyXmeJe', user: 'usr_RHs0uDSlbUEs' } }],
  ['key_6gsu1AWOLSsQ', { key: 'key_6gsu1AWOLSsQ', detail: { user: 'usr_RHs0uDSlbUEs' } }],
  ['acme', { tenant: 'acme', detail: { fields: ['scopes'] } }],
  ['acme', { tenant: 'acme' }],
])('a record of a change tells that it was of %s', (expected, record) => {
  expect(of(record)).toBe(expected)
})
