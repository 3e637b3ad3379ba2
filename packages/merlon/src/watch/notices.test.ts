import { createHmac, createSecretKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Alert } from './alerts.ts'
import { Notices, type Post } from './notices.ts'

const alert: Alert = {
  id: 'alert_1',
  rule: 'invalid-keys',
  severity: 'warning',
  state: 'firing',
  says: 'Many.',
  fix: 'Look.',
  threshold: 100,
  value: 101,
  startedAt: 1,
  firedAt: 2,
}
const key = createSecretKey(Buffer.alloc(32, 7))

function to(answers: readonly (number | Error)[], signing: 'signed' | 'unsigned' = 'signed') {
  const state = { now: 0, made: 0 }
  const sent: { body: string; headers: Readonly<Record<string, string>> }[] = []
  const givenUp: string[] = []
  const post: Post = async (body, headers) => {
    sent.push({ body, headers })
    const answer = answers[Math.min(sent.length, answers.length) - 1]!
    if (answer instanceof Error) throw answer
    return answer
  }
  const notices = new Notices({
    post,
    key: signing === 'signed' ? key : undefined,
    server: 'desk',
    clock: () => 1_800_000_000_500 + state.now,
    steadyClock: () => state.now,
    random: (size) => Buffer.alloc(size, ++state.made),
    onGivenUp: (what) => void givenUp.push(what),
  })
  return { state, sent, givenUp, notices }
}

describe('notices of alerts', () => {
  test('are signed as Standard Webhooks has it', async () => {
    const { sent, notices } = to([204])
    notices.offer(alert, 'firing')
    await notices.tick()
    const [{ body, headers } = { body: '', headers: {} as Record<string, string> }] = sent
    expect(JSON.parse(body)).toEqual({
      type: 'alert.firing',
      timestamp: '2027-01-15T08:00:00.500Z',
      data: { server: 'desk', alert },
    })
    const id = `msg_${'01'.repeat(12)}`
    const signature = createHmac('sha256', key).update(`${id}.1800000000.${body}`).digest('base64')
    expect(headers).toEqual({
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': '1800000000',
      'webhook-signature': `v1,${signature}`,
    })
    expect(notices).toMatchObject({ delivered: 1, size: 0 })
  })

  test('without a key are not signed', async () => {
    const { sent, notices } = to([200], 'unsigned')
    notices.offer(alert, 'firing')
    await notices.tick()
    expect(sent[0]?.headers).not.toHaveProperty('webhook-signature')
  })

  test('are tried again, later each time, under the same id and in their order', async () => {
    const { state, sent, notices } = to([503, new Error('x'), 200, 200])
    notices.offer(alert, 'firing')
    notices.offer(alert, 'resolved')
    await notices.tick()
    state.now = 999
    await notices.tick()
    expect(sent).toHaveLength(1)
    state.now = 1_000
    await notices.tick()
    state.now = 5_999
    await notices.tick()
    expect(sent).toHaveLength(2)
    state.now = 6_000
    await notices.tick()
    expect(sent.map(({ headers }) => headers['webhook-id']?.slice(-2))).toEqual(['01', '01', '01', '02'])
    expect(sent.map(({ body }) => JSON.parse(body).type)).toEqual([
      'alert.firing',
      'alert.firing',
      'alert.firing',
      'alert.resolved',
    ])
    expect(notices).toMatchObject({ delivered: 2, failing: 0, size: 0 })
  })

  test('are given up after six tries, which is told without the address, and seen until one is taken', async () => {
    const failure = Object.assign(new Error('connect ECONNREFUSED https://alerts.example/T0/secret'), {
      code: 'ECONNREFUSED',
    })
    const { state, sent, givenUp, notices } = to([failure, failure, failure, failure, failure, failure, 200])
    notices.offer(alert, 'firing')
    for (const waitMs of [0, 1_000, 5_000, 30_000, 120_000, 600_000]) {
      state.now += waitMs
      await notices.tick()
    }
    expect(sent).toHaveLength(6)
    expect(givenUp).toEqual(['ECONNREFUSED'])
    expect(notices).toMatchObject({ givenUp: 1, failing: 1, size: 0 })
    notices.offer(alert, 'firing')
    await notices.tick()
    expect(notices).toMatchObject({ delivered: 1, failing: 0 })
  })

  test.each<[string, number | Error, string]>([
    ['a redirect is not followed: it is a failure', 302, 'status 302'],
    ['a refusal', 401, 'status 401'],
    ['no answer in time', new DOMException('x', 'TimeoutError'), 'timeout'],
    ['an error that says more than it should', new Error('https://secret'), 'error'],
    ['an error whose code is no code', Object.assign(new Error(), { code: 'https://secret' }), 'error'],
  ])('%s', async (_, answer, word) => {
    const { state, givenUp, notices } = to([answer])
    notices.offer(alert, 'firing')
    for (let tries = 0; tries < 6; tries++) {
      await notices.tick()
      state.now += 600_000
    }
    expect(givenUp).toEqual([word])
  })

  test('that wait are a hundred, and the oldest goes first', async () => {
    const { sent, notices } = to([200])
    for (let at = 0; at < 103; at++) notices.offer({ ...alert, value: at }, 'firing')
    expect(notices).toMatchObject({ size: 100, dropped: 3, failing: 3 })
    await notices.tick()
    expect(sent).toHaveLength(100)
    expect(JSON.parse(sent[0]?.body ?? '').data.alert.value).toBe(3)
    expect(notices).toMatchObject({ size: 0, delivered: 100, failing: 0 })
  })

  test('one that is on its way is not dropped, nor sent twice', async () => {
    const answered = Promise.withResolvers<number>()
    const sent: string[] = []
    const notices = new Notices({
      post: (body) => {
        sent.push(String(JSON.parse(body).data.alert.value))
        return sent.length === 1 ? answered.promise : Promise.resolve(200)
      },
      key,
      server: 'desk',
      clock: () => 0,
      steadyClock: () => 0,
      random: (size) => Buffer.alloc(size),
      onGivenUp() {},
    })
    notices.offer({ ...alert, value: 0 }, 'firing')
    const first = notices.tick()
    for (let at = 1; at < 102; at++) notices.offer({ ...alert, value: at }, 'firing')
    await notices.tick()
    answered.resolve(200)
    await first
    expect(sent[0]).toBe('0')
    expect(new Set(sent).size).toBe(100)
    expect(sent).toHaveLength(100)
    expect(notices.dropped).toBe(2)
  })
})
