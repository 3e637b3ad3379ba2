import { expect, test } from 'vitest'
import { nearest } from './near.ts'
import { configSchema } from './schema.ts'
import { settingAt, settings, settingsByEnvironment } from './settings.ts'

test('every setting has a description and a name in the environment of its own, but maps and lists of objects', () => {
  expect(settings.filter(({ description }) => description === '').map(({ path }) => path)).toEqual([])
  expect(settings.filter(({ environment }) => environment === undefined).map(({ path }) => path)).toEqual([
    'identity.issuers',
    'roles',
    'rateLimit.rules',
  ])
  expect(settingsByEnvironment.size).toBe(settings.length - 3)
  expect(settingsByEnvironment.get('MERLON_RATE_LIMIT_CALLS_MAX')?.path).toBe('rateLimit.callsMax')
})

test('the defaults that the reference page prints are those in force', () => {
  const config: unknown = configSchema.parse({})
  for (const { segments, fallback } of settings) {
    const value = segments.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config)
    expect(value).toEqual(fallback)
  }
})

test('the references to secrets are known as such', () => {
  expect(settings.filter(({ secret }) => secret).map(({ path }) => path)).toEqual([
    'store.databaseUrl',
    'store.redisUrl',
    'secrets.rootKey',
    'secrets.rootKeyNext',
    'secrets.apiKeyPepper',
    'alerts.webhook.url',
    'alerts.webhook.secret',
  ])
  expect(settingAt(['server', 'trustedProxies', 0])?.path).toBe('server.trustedProxies')
  expect(settingAt(['nowhere'])).toBeUndefined()
})

test('the name that was meant', () => {
  expect(nearest('endpont', ['endpoint', 'port'])).toBe('endpoint')
  expect(nearest('allowedhosts', ['allowedHosts'])).toBe('allowedHosts')
  expect(nearest('colour', ['port', 'host'])).toBeUndefined()
})
