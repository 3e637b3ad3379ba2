import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errors } from '../../packages/merlon/src/errors.ts'
import { generated } from '../../scripts/reference.ts'

const root = join(import.meta.dirname, '../..')

describe('what is generated is current', () => {
  test.each([...generated])('%s', (path, text) => {
    // `node scripts/reference.ts` writes it anew.
    expect(readFileSync(join(root, path), 'utf8')).toBe(text())
  })
})

test('the numbers and codes of errors change only on purpose', () => {
  expect(Object.entries(errors).map(([name, { http, rpc, code }]) => `${name} ${http} ${rpc} ${code}`)).toEqual(
    readFileSync(join(import.meta.dirname, 'error-numbers.txt'), 'utf8')
      .trimEnd()
      .split('\n'),
  )
})

test('numbers of ours lie outside the band of JSON-RPC, and those inside are defined there or by MCP', () => {
  const defined = [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022]
  for (const { rpc } of Object.values(errors)) {
    expect(defined.includes(rpc) || rpc > 0).toBe(true)
  }
})
