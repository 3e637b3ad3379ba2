import { expect, test, vi } from 'vitest'
import { IssuerKeys, keysAgeMax, lookAgainMs, tryAgainMs } from './issuer-keys.ts'
import { issuerUrl, keySetOf, now, Published, pairOf, parse } from './token.fixture.ts'

const one = pairOf('k1')
const two = pairOf('k2')
const place = `${issuerUrl}/keys`

function keysWith({ discovered = false } = {}) {
  const published = new Published()
  published.documents.set(place, keySetOf(one))
  const time = { now }
  const report = vi.fn()
  const keys = new IssuerKeys({
    issuer: issuerUrl,
    keySetUrl: discovered ? undefined : place,
    fetch: published.fetch,
    parse,
    clock: () => time.now,
    report,
  })
  const find = async (kid = 'k1') => (await keys.find(kid === '' ? undefined : kid, 'ES256'))?.kid
  return { keys, find, published, time, report }
}

const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

test('RS-06: a key set is read once for as long as it is fresh', async () => {
  const { keys, find, published, time } = keysWith()
  expect(await find()).toBe('k1')
  time.now += 599_999
  expect(keys.find('k1', 'ES256')).not.toBeInstanceOf(Promise)
  expect(published.asked).toEqual([place])
  time.now += 1
  expect(await find()).toBe('k1')
  expect(published.asked).toEqual([place, place])
})

test('RS-06: its issuer says how long it is fresh, within bounds', async () => {
  const { find, published, time } = keysWith()
  published.maxAgeMs = 0
  await find()
  time.now += 59_999
  await find()
  expect(published.asked).toHaveLength(1)
  published.maxAgeMs = 1e12
  time.now += 1
  await find()
  await turns()
  time.now += 3_599_999
  await find()
  expect(published.asked).toHaveLength(2)
  time.now += 1
  await find()
  expect(published.asked).toHaveLength(3)
})

test('RS-06: an unknown kid makes us look once in 30 seconds, however many send it', async () => {
  const { find, published, time } = keysWith()
  await find()
  time.now += lookAgainMs
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => find(`unknown-${n}`)))
  expect(published.asked).toHaveLength(2)
  published.documents.set(place, keySetOf(one, two))
  expect(await find('k2')).toBeUndefined()
  time.now += lookAgainMs - 1
  expect(await find('k2')).toBeUndefined()
  time.now += 1
  expect(await find('k2')).toBe('k2')
  expect(published.asked).toHaveLength(3)
})

test('RS-06: while the issuer is gone its keys are used until they are too old, and then it is an outage', async () => {
  const { keys, find, published, time, report } = keysWith()
  await find()
  published.documents.set(place, new Error('gone'))
  time.now += 700_000
  expect(await find()).toBe('k1')
  await turns()
  expect(report).toHaveBeenCalledOnce()
  time.now = now + keysAgeMax - 1
  expect(await find()).toBe('k1')
  await turns()
  expect(report).toHaveBeenCalledOnce()
  time.now += 1
  await expect(keys.find('k1', 'ES256')).rejects.toMatchObject({ code: 'store.unavailable' })
  published.documents.set(place, keySetOf(one))
  time.now += tryAgainMs
  expect(await find()).toBe('k1')
})

test('RS-06: an issuer that never answered is tried again every 5 seconds, and nobody is told that their token is bad', async () => {
  const { keys, published, time, report } = keysWith()
  published.documents.clear()
  const ask = () => expect(keys.find('k1', 'ES256')).rejects.toMatchObject({ code: 'store.unavailable' })
  await ask()
  await Promise.all(Array.from({ length: 100 }, ask))
  expect(published.asked).toHaveLength(1)
  time.now += tryAgainMs
  await ask()
  expect(published.asked).toHaveLength(2)
  expect(report).toHaveBeenCalledOnce()
})

test.each(['{}', '{"keys":{}}', '[]', 'nothing', '{"keys":[],"keys":[]}'])(
  'what is no key set is an outage: %s',
  async (text) => {
    const { keys, published } = keysWith()
    published.documents.set(place, Buffer.from(text))
    await expect(keys.find('k1', 'ES256')).rejects.toMatchObject({ code: 'store.unavailable' })
  },
)

test('a clock that was set back makes us read the keys again', async () => {
  const { find, published, time } = keysWith()
  await find()
  time.now -= 10_000
  expect(await find()).toBe('k1')
  expect(published.asked).toHaveLength(2)
})

test('a token without kid means the one key there is for its algorithm, and none of two', async () => {
  const { find, published, time } = keysWith()
  expect(await find('')).toBe('k1')
  published.documents.set(place, keySetOf(one, two))
  time.now += 700_000
  await find()
  await turns()
  expect(await find('')).toBeUndefined()
})

test('keys that cannot check a signature here are left out', async () => {
  const { find, published } = keysWith()
  const { x, y } = one.jwk
  const jwks = [
    { kty: 'oct', k: 'AAAA', kid: 'secret', alg: 'HS256' },
    { kty: 'EC', crv: 'P-256', x, y, kid: 'encryption', use: 'enc' },
    { kty: 'EC', crv: 'P-256', x, y, kid: 'wrap', key_ops: ['wrapKey'] },
    { kty: 'EC', crv: 'P-256', x: y, y: x, kid: 'no point of the curve' },
    { kty: 'EC', crv: 'P-256', x, y, kid: 'another algorithm', alg: 'ES384' },
    { kty: 'RSA', n: 'sXch', e: 'AQAB', kid: 'short' },
    null,
    one.jwk,
  ]
  published.documents.set(place, Buffer.from(JSON.stringify({ keys: jwks })))
  for (const jwk of jwks.slice(0, 6)) expect(await find(jwk?.['kid'] as string)).toBeUndefined()
  expect(await find('k1')).toBe('k1')
})

test('RS-05: where the keys are is read from the metadata of the issuer, at its own origin alone', async () => {
  const ask = async (metadata: object) => {
    const { find, published } = keysWith({ discovered: true })
    published.documents.set(`${issuerUrl}/.well-known/openid-configuration`, Buffer.from(JSON.stringify(metadata)))
    published.documents.set('https://evil.example/keys', keySetOf(one))
    return find().catch(({ code }: { code: string }) => code)
  }
  expect(await ask({ issuer: issuerUrl, jwks_uri: place })).toBe('k1')
  expect(await ask({ issuer: issuerUrl, jwks_uri: 'https://evil.example/keys' })).toBe('store.unavailable')
  expect(await ask({ issuer: 'https://evil.example', jwks_uri: place })).toBe('store.unavailable')
  expect(await ask({ jwks_uri: place })).toBe('store.unavailable')
})
