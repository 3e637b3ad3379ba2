import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { databaseUrlProblem, looksLikeSecret, parseKeyMaterial } from './secret-value.ts'

const good = Buffer.from('8f1d3a5b7c90e2467db8a1f3c5e70912b4d6f8136a8ce02597bf4d1e6083a5c7', 'hex')

test.each(['hex', 'base64', 'base64url'] as const)('32 random bytes are taken as %s', (encoding) => {
  expect(parseKeyMaterial(good.toString(encoding))).toEqual({ ok: true, bytes: good })
})

test('base64 is taken without its padding, and a hundred fresh keys all pass', () => {
  expect(parseKeyMaterial(good.toString('base64').replace('=', ''))).toEqual({ ok: true, bytes: good })
  for (let n = 0; n < 100; n++) expect(parseKeyMaterial(randomBytes(32).toString('base64url')).ok).toBe(true)
})

test.each([
  ['', 'is empty'],
  ['your-32-byte-encryption-key-here', 'is a placeholder or a published sample'],
  ['your-jwt-secret-key', 'is a placeholder or a published sample'],
  ['secret-api-key', 'is a placeholder or a published sample'],
  ['sk_read_abc123', 'is a placeholder or a published sample'],
  ['sk_admin_ghi789', 'is a placeholder or a published sample'],
  ['changeme', 'is a placeholder or a published sample'],
  ['<generate one>', 'is a placeholder or a published sample'],
  [`\${ENCRYPTION_KEY}`, 'is a placeholder or a published sample'],
  ['correct horse battery staple', 'is not 32 bytes as base64 or hex'],
  [good.subarray(0, 16).toString('hex'), 'is not 32 bytes as base64 or hex'],
  [good.subarray(0, 16).toString('base64'), 'is not 32 bytes as base64 or hex'],
  [`${good.toString('base64url').slice(0, 42)}d`, 'is not 32 bytes as base64 or hex'],
  ['0'.repeat(64), 'is not random: it repeats, counts, or is text'],
  ['deadbeef'.repeat(8), 'is not random: it repeats, counts, or is text'],
  [Buffer.from('a passphrase that is 32 bytes ok').toString('base64'), 'is not random: it repeats, counts, or is text'],
  [
    Buffer.from(Array.from({ length: 32 }, (_, n) => n)).toString('hex'),
    'is not random: it repeats, counts, or is text',
  ],
])('%j is refused', (text, says) => {
  expect(parseKeyMaterial(text)).toEqual({
    ok: false,
    says,
    fix: 'Run `merlon generate-keys --secrets` for good ones',
  })
})

test.each([
  ['postgres://merlon:x9Lq@db.example/merlon', undefined],
  ['postgresql://%2Frun%2Fpostgresql/merlon', undefined],
  ['mysql://root@db.example/x', 'is not a postgres:// address'],
  ['not an address', 'is not a URL'],
  ['postgres://merlon:your-password@db.example/merlon', 'holds a placeholder for the password'],
  ['postgres://merlon:<password>@db.example/merlon', 'holds a placeholder for the password'],
])('the database address %j', (text, problem) => {
  expect(databaseUrlProblem(text)).toBe(problem)
})

test.each([
  ['env:DATABASE_URL', false],
  ['https://mcp.example', false],
  ['https://localhost:3000', false],
  ['Ask the desk for a key (mrl_…).', false],
  ['postgres://merlon:x9Lq@db.example/merlon', true],
  [`use mrl_${'a'.repeat(12)}_${'b'.repeat(49)}`, true],
  ['-----BEGIN EC PRIVATE KEY-----', true],
])('%j is a secret: %j', (text, secret) => {
  expect(looksLikeSecret(text)).toBe(secret)
})
