import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'
import { ledger } from '../project/src/ledger.ts'
import { call, type Params, type Person, tool } from '../request.ts'

const area = 'Cursors and request state'
const capabilities = { elicitation: { form: {} } }
const accepted = { 'elicitation-1': { action: 'accept', content: { color: 'blue' } } }

/** Begins a call that asks; answers with the state that the client has to bring back. */
async function asked(target: Target, as: Person = 'A.read', args: Params = { about: 'the sky' }): Promise<string> {
  const answer = await target.send(tool('ask', args, { as, capabilities }))
  const state = answer.message.result?.requestState
  if (answer.message.result?.['resultType'] !== 'input_required' || state === undefined)
    throw new Error(`nothing was asked: ${answer.text}`)
  return state
}

function retry(
  target: Target,
  requestState: unknown,
  options: { as?: Person; name?: string; args?: Params; answers?: unknown } = {},
): Promise<Answer> {
  const { as = 'A.read', name = 'ask', args = { about: 'the sky' }, answers = accepted } = options
  return target.send(
    call('tools/call', { name, arguments: args, requestState, inputResponses: answers }, { as, capabilities }),
  )
}

/** Changes one bit of a base64url text, at the byte with this number; a negative number counts from the end. */
function flipped(token: string, at: number): string {
  const bytes = Buffer.from(token, 'base64url')
  const place = at < 0 ? bytes.length + at : at
  bytes[place] = bytes[place]! ^ 1
  return bytes.toString('base64url')
}

/** Another spelling of the same bytes: trailing bits that a careless decoder drops. */
function respelled(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(token.at(-1)!)
  const loose = token.length % 4 === 2 ? 16 : token.length % 4 === 3 ? 4 : 1
  return loose === 1 ? `${token}=` : token.slice(0, -1) + alphabet[(last & ~(loose - 1)) | 1]!
}

/** What an attacker can do to a sealed text without the key. */
const forgeries: Readonly<Record<string, (token: string) => unknown>> = {
  'a bit of the version': (token) => flipped(token, 0),
  'a bit of the nonce': (token) => flipped(token, 5),
  'a bit of the text': (token) => flipped(token, 14),
  'a bit of the tag': (token) => flipped(token, -1),
  'a short tag': (token) => Buffer.from(token, 'base64url').subarray(0, -12).toString('base64url'),
  'half of it': (token) => token.slice(0, token.length / 2),
  'a byte more': (token) => Buffer.concat([Buffer.from(token, 'base64url'), Buffer.from([0])]).toString('base64url'),
  'other trailing bits': respelled,
  padding: (token) => `${token}==`,
  'a space': (token) => ` ${token}`,
  'plain Base64': (token) => `+/${token}`,
  nothing: () => '',
  'a word': () => 'constructor',
  'a long word': () => 'A'.repeat(100_000),
  'a number': () => 7,
  'an object': () => ({ a: 1 }),
}

const refused = {
  status: 200,
  rpc: -32602,
  code: 'INVALID_REQUEST_STATE',
  audit: { success: false, code: 'INVALID_REQUEST_STATE' },
} as const

/** The second page of a list of this person. */
async function cursorOf(target: Target, as: Person, method = 'tools/list'): Promise<string> {
  const cursor = (await target.send(call(method, {}, { as }))).message.result?.nextCursor
  if (cursor === undefined) throw new Error('there is no second page')
  return cursor
}

const paged = { limits: { pageSize: 2 } }

export const sealedStateCases: readonly AttackCase[] = [
  {
    id: 'X-090',
    area,
    requirement: ['AU-07'],
    title: 'the one who was asked goes on with the answer',
    send: async (target) => {
      const answer = await retry(target, await asked(target))
      expect(answer.said).toBe('the sky is blue')
      return answer
    },
    expect: { status: 200 },
  },
  ...each(
    {
      id: 'X-091',
      area,
      requirement: ['AU-06', 'AU-07', 'TR-18'],
      title: 'a state that was tampered with is refused, and the handler does not run',
      expect: refused,
    },
    Object.fromEntries(
      Object.entries(forgeries).map(([sub, forge]): [string, AttackCase['send']] => [
        sub,
        async (target) => {
          const state = await asked(target)
          const forged = forge(state)
          expect(forged).not.toBe(state)
          const ran = ledger().ran.length
          const answer = await retry(target, forged)
          expect(ledger().ran.slice(ran)).toEqual([])
          return answer
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-092',
      area,
      requirement: ['AU-06', 'AU-07'],
      title: 'a state is good for who was asked, for what was asked, and for nothing else',
      expect: refused,
    },
    {
      'another key of the user': async (target) => retry(target, await asked(target), { as: 'A.write' }),
      'an administrator of the tenant': async (target) => retry(target, await asked(target), { as: 'A.admin' }),
      'another tenant': async (target) => retry(target, await asked(target), { as: 'B.read' }),
      'another tool': async (target) => retry(target, await asked(target), { name: 'ask_too' }),
      'other arguments': async (target) => retry(target, await asked(target), { args: { about: 'the sea' } }),
      'no arguments': async (target) => retry(target, await asked(target), { args: {} }),
      'another method': async (target) =>
        target.send(
          call(
            'prompts/get',
            { name: 'greeting', arguments: { whom: 'x' }, requestState: await asked(target) },
            { as: 'A.read' },
          ),
        ),
      'a tool that asks nothing': async (target) =>
        target.send(
          call(
            'tools/call',
            { name: 'echo', arguments: { text: 'x' }, requestState: await asked(target) },
            { as: 'A.read' },
          ),
        ),
    },
  ),
  {
    id: 'X-093',
    area,
    requirement: ['AU-07'],
    title: 'a state ends after a quarter of an hour',
    alone: true,
    send: async (target) => {
      const state = await asked(target)
      target.advance(15 * 60_000 - 5_000)
      expect((await retry(target, state)).said).toBe('the sky is blue')
      target.advance(5_000)
      return await retry(target, state)
    },
    expect: { ...refused, audit: { success: false, code: 'INVALID_REQUEST_STATE', reason: 'expired' } },
  },
  ...each(
    {
      id: 'X-094',
      area,
      requirement: ['AU-07', 'AU-13'],
      title: 'an answer that does not fit the question is refused',
      expect: { status: 200, rpc: -32602 },
    },
    {
      'no object': async (target) => retry(target, await asked(target), { answers: { 'elicitation-1': 'blue' } }),
      'no answers object': async (target) => retry(target, await asked(target), { answers: ['blue'] }),
      'another action': async (target) =>
        retry(target, await asked(target), {
          answers: { 'elicitation-1': { action: 'force', content: { color: 'blue' } } },
        }),
      'content that does not fit': async (target) =>
        retry(target, await asked(target), {
          answers: { 'elicitation-1': { action: 'accept', content: { color: 7 } } },
        }),
    },
  ),
  {
    id: 'X-095',
    area,
    requirement: ['AU-06', 'RL-18'],
    title: 'a list comes in pages of the size that the server says, whatever is asked for',
    config: paged,
    send: async (target) => {
      const answer = await target.send(call('tools/list', { limit: 1_000, pageSize: 1_000 }, { as: 'A.admin' }))
      expect(answer.message.result?.tools).toHaveLength(2)
      const next = await target.send(
        call('tools/list', { cursor: await cursorOf(target, 'A.admin') }, { as: 'A.admin' }),
      )
      expect(next.message.result?.tools).toHaveLength(2)
      const completion = { ref: { type: 'ref/resource', uri: 'note://{id}' }, argument: { name: 'id', value: 'note' } }
      const completed = await target.send(call('completion/complete', completion, { as: 'A.read' }))
      expect(completed.message.result?.['completion']).toMatchObject({
        values: { length: 100 },
        total: 500,
        hasMore: true,
      })
      return undefined
    },
  },
  ...each(
    {
      id: 'X-096',
      area,
      requirement: ['AU-06', 'TR-18'],
      title: 'a cursor that was made up, changed or got by another is refused',
      config: paged,
      expect: { status: 200, rpc: -32602, code: 'INVALID_CURSOR', audit: { success: false, code: 'INVALID_CURSOR' } },
    },
    {
      ...Object.fromEntries(
        Object.entries(forgeries).map(([sub, forge]): [string, AttackCase['send']] => [
          sub,
          async (target) =>
            target.send(call('tools/list', { cursor: forge(await cursorOf(target, 'A.read')) }, { as: 'A.read' })),
        ]),
      ),
      'of another key': async (target) =>
        target.send(call('tools/list', { cursor: await cursorOf(target, 'A.admin') }, { as: 'A.read' })),
      'of another tenant': async (target) =>
        target.send(call('tools/list', { cursor: await cursorOf(target, 'A.read') }, { as: 'B.read' })),
      'of another list': async (target) =>
        target.send(call('resources/templates/list', { cursor: await cursorOf(target, 'A.admin') }, { as: 'A.admin' })),
      'a number': (target) => target.send(call('tools/list', { cursor: '2' }, { as: 'A.read' })),
      'a request state': async (target) =>
        target.send(call('tools/list', { cursor: await asked(target) }, { as: 'A.read' })),
    },
  ),
]
