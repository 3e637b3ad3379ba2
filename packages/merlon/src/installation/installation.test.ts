import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { openServer } from '../app.ts'

vi.mock('../sealing/self-test.ts', () => ({
  selfTest: () => {
    throw new Error('the self-test of cryptography failed: HKDF-SHA-256 does not give what its standard says')
  },
}))

const project = mkdtempSync(join(tmpdir(), 'merlon-self-test-'))
afterAll(() => rmSync(project, { recursive: true, force: true }))

test('CR-10: where the self-test fails the server does not start, and neither a key nor a database is made', async () => {
  await expect(openServer({ project, env: { MERLON_SERVER_PORT: '0' } })).rejects.toThrow('HKDF-SHA-256 does not give')
  const made = readdirSync(project, { recursive: true, encoding: 'utf8' })
  expect(made.filter((name) => /root\.key|merlon\.db/.test(name))).toEqual([])
})
