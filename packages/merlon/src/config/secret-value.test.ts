import { expect, test } from 'vitest'
import { databaseUrlProblem, looksLikeSecret, redisUrlProblem, webhookUrlProblem } from './secret-value.ts'

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
  ['redis://127.0.0.1:6379', undefined],
  ['rediss://merlon:x9Lq@redis.example:6380/2', undefined],
  ['http://redis.example', 'is not a redis:// or rediss:// address'],
  ['redis.example:6379', 'is not a redis:// or rediss:// address'],
  ['redis://', 'names no host'],
  ['redis://redis.example/limits', 'names a database that is not a number'],
  ['redis://:your-password@redis.example', 'holds a placeholder for the password'],
  ['not an address', 'is not a URL'],
])('the address of a Redis %j', (text, problem) => {
  expect(redisUrlProblem(text)).toBe(problem)
})

test.each([
  ['https://alerts.example/merlon?token=x', undefined],
  ['http://127.0.0.1:9093/hook', undefined],
  ['http://[::1]:9093/hook', undefined],
  ['http://localhost/hook', undefined],
  ['http://alerts.example/hook', 'is not an https address'],
  ['http://127.0.0.1.evil.example/hook', 'is not an https address'],
  ['ftp://alerts.example/hook', 'is not an https address'],
  ['https://merlon:x9Lq@alerts.example/hook', 'holds a user or a password, which is not sent'],
  ['https://alerts.example/hook#x', 'holds a fragment, which is not sent'],
  ['alerts.example', 'is not a URL'],
])('the address of the webhook %j', (text, problem) => {
  expect(webhookUrlProblem(text)).toBe(problem)
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
