import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'
import { call, type Person, type Request, tool } from '../request.ts'

const area = 'What a role cannot reach'

/** An answer without what differs between any two requests, and with the name that was asked for taken out. */
function shape(answer: Answer, asked: string): string {
  const lines = answer.head.lines
    .filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name.toLowerCase()))
    // What is left goes down with every call; which limit tells it is the same.
    .map(([name, value]) => [name, name.toLowerCase() === 'ratelimit' ? value.replace(/;r=\d+;t=\d+$/, '') : value])
  return JSON.stringify([answer.status, lines, answer.text.replaceAll(JSON.stringify(asked), '"…"')])
}

/** Asks for what is hidden and for what does not exist; the answers must be the same, byte for byte. */
async function indistinguishable(
  target: Target,
  hidden: string,
  absent: string,
  request: (name: string, as: Person, session: string) => Request,
): Promise<undefined> {
  for (const as of ['A.read', 'A.write', 'A.clerk'] as const) {
    const session = (await target.openSession(as)).id
    const there = await target.send(request(hidden, as, session))
    const not = await target.send(request(absent, as, session))
    expect(shape(there, hidden)).toBe(shape(not, absent))
    expect(there.status).toBe(200)
    expect(there.code).toMatch(/^UNKNOWN_/)
  }
  return undefined
}

const older = (method: string, params: object, as: Person, session: string): Request => ({
  as,
  headers: { 'Mcp-Session-Id': session },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
})

const complete = (ref: object) => ({ ref, argument: { name: 'door', value: '' } })

export const hiddenCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'X-080',
      area,
      requirement: ['AU-03'],
      title: 'what is hidden answers like what is not there, byte for byte',
    },
    {
      'tools/call': (target) =>
        indistinguishable(target, 'vault', 'fault', (name, as) => tool(name, { door: 'front' }, { as })),
      'tools/call with arguments that would not fit': (target) =>
        indistinguishable(target, 'vault', 'fault', (name, as) => tool(name, { wrong: 1 }, { as })),
      'tools/call of an administrator': (target) =>
        indistinguishable(target, 'admin_status', 'admin_statue', (name, as) => tool(name, {}, { as })),
      'tools/call in a session': (target) =>
        indistinguishable(target, 'vault', 'fault', (name, as, session) =>
          older('tools/call', { name, arguments: { door: 'front' } }, as, session),
        ),
      'prompts/get': (target) =>
        indistinguishable(target, 'operations', 'operationz', (name, as) => call('prompts/get', { name }, { as })),
      'prompts/get in a session': (target) =>
        indistinguishable(target, 'operations', 'operationz', (name, as, session) =>
          older('prompts/get', { name }, as, session),
        ),
      'resources/read of a template': (target) =>
        indistinguishable(target, 'vault://front', 'fault://front', (uri, as) =>
          call('resources/read', { uri }, { as }),
        ),
      'resources/read of a resource': (target) =>
        indistinguishable(target, 'ledger://admin', 'ledger://adnim', (uri, as) =>
          call('resources/read', { uri }, { as }),
        ),
      'resources/read in a session': (target) =>
        indistinguishable(target, 'vault://front', 'fault://front', (uri, as, session) =>
          older('resources/read', { uri }, as, session),
        ),
      'resources/subscribe': (target) =>
        indistinguishable(target, 'ledger://admin', 'ledger://adnim', (uri, as, session) =>
          older('resources/subscribe', { uri }, as, session),
        ),
      'completion of a prompt': (target) =>
        indistinguishable(target, 'operations', 'operationz', (name, as) =>
          call('completion/complete', complete({ type: 'ref/prompt', name }), { as }),
        ),
      'completion of a template': (target) =>
        indistinguishable(target, 'vault://{door}', 'fault://{door}', (uri, as) =>
          call('completion/complete', complete({ type: 'ref/resource', uri }), { as }),
        ),
      'completion in a session': (target) =>
        indistinguishable(target, 'vault://{door}', 'fault://{door}', (uri, as, session) =>
          older('completion/complete', complete({ type: 'ref/resource', uri }), as, session),
        ),
    },
  ),
  {
    id: 'X-081',
    area,
    requirement: ['AU-03'],
    title: 'no list, page, capability or count tells of what is hidden',
    config: { limits: { pageSize: 2 } },
    send: async (target) => {
      for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
        let cursor: string | undefined
        do {
          const answer = await target.send(call(method, cursor === undefined ? {} : { cursor }, { as: 'A.read' }))
          expect(answer.status).toBe(200)
          expect(answer.text).not.toMatch(/vault|admin|files_write|operations|ledger/)
          cursor = answer.message.result?.nextCursor
        } while (cursor !== undefined)
      }
      const [discovered, administrator] = [
        await target.send(call('server/discover', {}, { as: 'A.read' })),
        await target.send(call('server/discover', {}, { as: 'A.admin' })),
      ]
      expect(discovered.text).toBe(administrator.text)
      return undefined
    },
  },
  {
    id: 'X-082',
    area,
    requirement: ['AU-03', 'AU-09'],
    title: 'a subscription acknowledges only what the caller may read, hidden or absent alike',
    send: async (target) => {
      const stream = await target.begin(
        call(
          'subscriptions/listen',
          {
            notifications: { resourceSubscriptions: ['note://1', 'ledger://admin', 'vault://front', 'fault://front'] },
          },
          { as: 'A.read', id: 'listening' },
        ),
      )
      const answer = await stream.messages(1)
      expect(JSON.parse(answer.messages[0]!.data)).toMatchObject({
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: { resourceSubscriptions: ['note://1'] } },
      })
      return undefined
    },
  },
]
