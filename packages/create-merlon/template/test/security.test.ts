import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RunningAgent, startAgent } from './agent.ts'
import { type Answer, ask, codeOf, resultOf, textOf } from './client.ts'

let agent: RunningAgent
let key: string
let readKey: string

before(async () => {
  agent = await startAgent()
  key = await agent.key('read', 'write', 'admin')
  readKey = await agent.key('read')
})
after(() => agent.close())

const call = (name: string, args: Record<string, unknown>, headers: Record<string, string>): Promise<Answer> =>
  ask(agent.url, 'tools/call', { name, arguments: args }, { headers })

test('without a key nothing answers', async () => {
  const answer = await call('echo', { text: 'hello' }, {})
  assert.equal(answer.status, 401)
  assert.equal(codeOf(answer), 'MISSING_API_KEY')
  assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/)
})

test('a wrong key, a made-up key and a company token get one and the same answer', async () => {
  const changed = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
  const answers = await Promise.all(
    [changed, `mrl_${'A'.repeat(12)}_${'a'.repeat(49)}`, 'eyJhbGciOiJub25lIn0.e30.'].map((wrong) =>
      call('echo', { text: 'hello' }, { authorization: `Bearer ${wrong}` }),
    ),
  )
  for (const { status, body } of answers) {
    assert.equal(status, 401)
    assert.deepEqual(
      { error: body['error'], code: body['code'] },
      { error: 'Invalid API key', code: 'INVALID_API_KEY' },
    )
  }
})

test('both header forms carry a key', async () => {
  assert.equal(textOf(await call('echo', { text: 'a' }, { authorization: `Bearer ${readKey}` })), 'a')
  assert.equal(textOf(await call('echo', { text: 'b' }, { 'x-api-key': readKey })), 'b')
})

test('a key in the address is no key', async () => {
  const response = await fetch(`${agent.url}?api_key=${key}`, { method: 'POST' })
  assert.equal(response.status, 401)
})

test('a strange web page is refused, even with a good key', async () => {
  const headers = { authorization: `Bearer ${key}`, origin: 'https://evil.example' }
  const answer = await call('echo', { text: 'hello' }, headers)
  assert.equal(answer.status, 403)
  assert.equal(codeOf(answer), 'ORIGIN_REFUSED')
})

for (const [name, args] of [
  ['write_note', { text: 'hello' }],
  ['delete_note', { id: 1 }],
  ['status', {}],
] as const) {
  test(`a key that may only read cannot call ${name}`, async () => {
    const answer = await call(name, args, { authorization: `Bearer ${readKey}` })
    assert.equal(answer.status, 403)
    assert.equal(codeOf(answer), 'INSUFFICIENT_SCOPE')
  })
}

test('arguments that the schema does not know never reach a tool', async () => {
  const answer = await call('echo', { text: 'hello', more: 'x' }, { authorization: `Bearer ${key}` })
  assert.deepEqual(
    [resultOf(answer).isError, textOf(answer)],
    [true, 'The arguments do not fit the input schema. Unrecognized key: "more"'],
  )
})
