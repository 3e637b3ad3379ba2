import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RunningAgent, startAgent } from './agent.ts'
import { type Answer, ask, codeOf, resultOf, textOf } from './client.ts'

let agent: RunningAgent
let key: string

before(async () => {
  agent = await startAgent()
  key = await agent.key('read', 'write', 'admin')
})
after(() => agent.close())

const withKey = (method: string, params: Record<string, unknown> = {}, capabilities: object = {}): Promise<Answer> =>
  ask(agent.url, method, params, { headers: { authorization: `Bearer ${key}` }, capabilities })

const call = (name: string, args: Record<string, unknown>) => withKey('tools/call', { name, arguments: args })

test('echo answers with the text it was sent', async () => {
  assert.equal(textOf(await call('echo', { text: 'hello' })), 'hello')
})

test('status tells an administrator how the server is', async () => {
  const { structuredContent } = resultOf(await call('status', {}))
  assert.deepEqual(Object.keys(structuredContent ?? {}).sort(), ['notes', 'state', 'uptimeSeconds'])
})

test('a note that was written can be read', async () => {
  const { structuredContent } = resultOf(await call('write_note', { text: 'Buy milk.' }))
  const { uri } = { uri: '', ...(structuredContent ?? {}) }
  assert.match(uri, /^note:\/\/\d+$/)
  assert.match(JSON.stringify(resultOf(await withKey('resources/read', { uri }))), /Buy milk\./)
})

test('a note that is not there cannot be read', async () => {
  assert.equal(codeOf(await withKey('resources/read', { uri: 'note://999999' })), 'UNKNOWN_RESOURCE')
})

test('a note is deleted only after a person agreed', async () => {
  const { structuredContent } = resultOf(await call('write_note', { text: 'Old news.' }))
  const { id } = { id: 0, ...(structuredContent ?? {}) }
  const request = { name: 'delete_note', arguments: { id } }

  const { resultType, inputRequests, requestState } = resultOf(
    await withKey('tools/call', request, { elicitation: { form: {} } }),
  )
  assert.equal(resultType, 'input_required')
  assert.match(JSON.stringify(inputRequests), /Old news\./)

  const answer = (sure: boolean) =>
    withKey(
      'tools/call',
      { ...request, requestState, inputResponses: { confirm: { action: 'accept', content: { sure } } } },
      { elicitation: { form: {} } },
    )
  assert.equal(textOf(await answer(false)), `Note ${id} was kept.`)
  assert.equal(textOf(await answer(true)), `Note ${id} was deleted.`)
  assert.equal(codeOf(await withKey('resources/read', { uri: `note://${id}` })), 'UNKNOWN_RESOURCE')
})

test('where nobody can be asked, nothing is deleted', async () => {
  const { structuredContent } = resultOf(await call('write_note', { text: 'Keep me.' }))
  const { id } = { id: 0, ...(structuredContent ?? {}) }
  assert.equal(resultOf(await call('delete_note', { id })).isError, true)
  assert.match(JSON.stringify(resultOf(await withKey('resources/read', { uri: `note://${id}` }))), /Keep me\./)
})

test('the policies can be read, and one of them asked for by topic', async () => {
  assert.match(JSON.stringify(resultOf(await withKey('resources/read', { uri: 'policy://security' }))), /## keys/)
  const prompt = await withKey('prompts/get', { name: 'security-context', arguments: { topic: 'limits' } })
  assert.match(JSON.stringify(resultOf(prompt)), /Retry-After/)
  const completed = await withKey('completion/complete', {
    ref: { type: 'ref/prompt', name: 'security-context' },
    argument: { name: 'topic', value: 'n' },
  })
  assert.match(JSON.stringify(resultOf(completed)), /"values":\["notes"\]/)
})
