import { describe, expect, test } from 'vitest'
import { Asked, activeWith } from './introspection.fixture.ts'
import { Introspection, questionsMax, tryAgainMs } from './introspection.ts'
import { issuerUrl, now, parse } from './token.fixture.ts'

const token = 'opaque-token-of-ann-1'
const address = '192.0.2.1'
const outage = { code: 'store.unavailable', detail: { reason: 'issuer', retryAfterMs: tryAgainMs } }

test('RS-12: the token is asked about in the body of a form, by a client that says who it is', async () => {
  const asked = new Asked()
  asked.answers.set('a token+with/every=char', activeWith())
  expect(await asked.introspection.ask('a token+with/every=char', address)).toEqual(activeWith())
  expect(asked.forms).toEqual([
    {
      url: `${issuerUrl}/introspect`,
      form: 'token=a+token%2Bwith%2Fevery%3Dchar&token_type_hint=access_token',
      authorization: `Basic ${Buffer.from('merlon:canary-of-the-client').toString('base64')}`,
    },
  ])
})

test('client and secret are percent-encoded before they are joined (RFC 6749 §2.3.1)', async () => {
  const asked = new Asked()
  const introspection = new Introspection({
    url: issuerUrl,
    clientId: 'a:b c',
    clientSecret: "p%+!'()*/é",
    post: asked.post,
    parse,
    failures: asked.failures,
    steadyClock: () => now,
    report: () => expect.unreachable(),
  })
  await introspection.ask(token, address)
  const pair = Buffer.from(asked.forms[0]!.authorization.slice('Basic '.length), 'base64').toString()
  expect(pair).toBe('a%3Ab%20c:p%25%2B%21%27%28%29%2A%2F%C3%A9')
})

describe('RS-12: what is not an answer is our outage, and never a yes or a no', () => {
  test.each([
    ['one that does not come', new Error('https://id.example/introspect: cannot be reached')],
    ['no JSON', '<html>'],
    ['a list', '[{"active":true}]'],
    ['a text', '"active"'],
    ['nothing', 'null'],
    ['active as text', '{"active":"true"}'],
    ['active as number', '{"active":1}'],
    ['nothing of whether it is active', '{"sub":"ann"}'],
    ['active said twice', '{"active":false,"active":true}'],
    ['active of a prototype', '{"__proto__":{"active":true}}'],
  ])('%s', async (_what, answer) => {
    const asked = new Asked()
    asked.answers.set(token, answer)
    await expect(asked.introspection.ask(token, address)).rejects.toMatchObject(outage)
    expect(asked.reported).toHaveLength(1)
    // What is told of it has nothing of the token, nor of the answer, nor of the secret.
    const told = String((asked.reported[0] as Error).stack)
    for (const secret of [token, 'canary', 'html']) expect(told).not.toContain(secret)
    // It is nobody's failure.
    expect(asked.failures.all).toBe(0)
  })

  test('told of once for each outage', async () => {
    const asked = new Asked()
    const down = () => asked.answers.set(token, new Error('down'))
    down()
    await expect(asked.introspection.ask(token, undefined)).rejects.toMatchObject(outage)
    await expect(asked.introspection.ask(token, undefined)).rejects.toMatchObject(outage)
    expect(asked.reported).toHaveLength(1)
    asked.answers.delete(token)
    expect(await asked.introspection.ask(token, undefined)).toBeUndefined()
    down()
    await expect(asked.introspection.ask(token, undefined)).rejects.toMatchObject(outage)
    expect(asked.reported).toHaveLength(2)
  })
})

describe('RS-12: a stranger makes us ask no more often than they may guess', () => {
  test('a failure is counted before anything leaves, and stays where the answer is no', async () => {
    const asked = new Asked()
    asked.failures.max = 2
    expect(await asked.introspection.ask('guess-1', address)).toBeUndefined()
    expect(await asked.introspection.ask('guess-2', address)).toBeUndefined()
    await expect(asked.introspection.ask('guess-3', address)).rejects.toMatchObject({ code: 'rate.exceeded' })
    expect(asked.count).toBe(2)
    // From elsewhere, and about what was good before, it is asked all the same.
    expect(await asked.introspection.ask('guess-4', '192.0.2.2')).toBeUndefined()
    expect(await asked.introspection.ask('guess-5', undefined)).toBeUndefined()
    expect(asked.count).toBe(4)
  })

  test('it is given back where the answer is yes', async () => {
    const asked = new Asked()
    asked.failures.max = 1
    asked.answers.set(token, activeWith())
    for (const _ of [1, 2, 3]) expect(await asked.introspection.ask(token, address)).toEqual(activeWith())
    expect(asked.failures.all).toBe(0)
  })

  test('who got no answer waits before asking again, and nobody else does', async () => {
    const asked = new Asked()
    asked.answers.set('odd', new Error('answered 500'))
    await expect(asked.introspection.ask('odd', address)).rejects.toMatchObject(outage)
    asked.answers.set(token, activeWith())
    asked.time.now += tryAgainMs - 1
    await expect(asked.introspection.ask(token, address)).rejects.toMatchObject({
      code: 'store.unavailable',
      detail: { retryAfterMs: 1 },
    })
    expect(asked.count).toBe(1)
    expect(await asked.introspection.ask(token, '192.0.2.2')).toEqual(activeWith())
    asked.time.now += 1
    expect(await asked.introspection.ask(token, address)).toEqual(activeWith())
  })

  test('so many questions are under way at a time, in all and for one network', async () => {
    const asked = new Asked()
    const { promise, resolve } = Promise.withResolvers<void>()
    asked.gate = promise
    const busy = { code: 'store.unavailable', detail: { reason: 'issuer-busy' } }
    const underway = Array.from({ length: questionsMax.perNetwork }, (_, at) =>
      asked.introspection.ask(`guess-${at}`, address),
    )
    await expect(asked.introspection.ask('one-more', address)).rejects.toMatchObject(busy)
    expect(asked.introspection.isBusy).toBe(false)
    for (let at = underway.length; at < questionsMax.all; at++)
      underway.push(asked.introspection.ask(`guess-${at}`, `198.51.100.${at}`))
    expect(asked.introspection.isBusy).toBe(true)
    await expect(asked.introspection.ask('one-more', '192.0.2.9')).rejects.toMatchObject(busy)
    await expect(asked.introspection.ask('one-more', undefined)).rejects.toMatchObject(busy)
    resolve()
    await Promise.all(underway)
    expect(asked.count).toBe(questionsMax.all)
    expect(await asked.introspection.ask('one-more', address)).toBeUndefined()
  })
})
