import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import { ledger } from '../project/src/ledger.ts'
import { call, type Person, type Request, tool } from '../request.ts'

const area = 'Authorization and tenants'

const challenge = (scope: string) =>
  new RegExp(`^Bearer resource_metadata="[^"]+", error="insufficient_scope", scope="${scope}"$`)

const names = (tools: readonly { readonly name: string }[] | undefined) => tools?.map(({ name }) => name)

/** Something for every method of both revisions that a key without any right could try. */
const stateless: readonly Request[] = [
  call('server/discover'),
  call('tools/list'),
  call('prompts/list'),
  call('resources/list'),
  call('resources/templates/list'),
  tool('echo', { text: 'x' }),
  call('prompts/get', { name: 'greeting', arguments: { whom: 'x' } }),
  call('resources/read', { uri: 'note://1' }),
  call('completion/complete', { ref: { type: 'ref/prompt', name: 'greeting' }, argument: { name: 'whom', value: '' } }),
  call('subscriptions/listen', { notifications: { toolsListChanged: true } }),
]

export const authorizationCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-050',
      area,
      requirement: ['AU-01', 'CO-06'],
      title: 'a call that lacks a scope is refused, and the challenge names that scope and no other',
      expect: {
        status: 403,
        code: 'INSUFFICIENT_SCOPE',
        headers: { 'WWW-Authenticate': challenge('write') },
        audit: { type: 'tool_access', success: false, tool: 'write_note', scope: 'write', code: 'INSUFFICIENT_SCOPE' },
      },
    },
    {
      '2026-07-28': (target) => target.send(tool('write_note', { text: 'x' }, { as: 'A.read' })),
      '2025-11-25': async (target) => {
        const session = await target.openSession('A.read')
        return await target.send(session.request('tools/call', { name: 'write_note', arguments: { text: 'x' } }))
      },
      'arguments that do not fit are not looked at': (target) =>
        target.send(tool('write_note', { wrong: 'x' }, { as: 'A.read' })),
    },
  ),
  {
    id: 'X-070',
    area,
    requirement: ['CO-06', 'AU-01'],
    title: 'the sentence of a refusal says which scope is required',
    send: async (target) => {
      const { error } = (await target.send(tool('admin_status', {}, { as: 'A.limited' }))).message
      expect(error).toMatchObject({ message: 'Insufficient permissions. Required scope: admin' })
      return undefined
    },
  },
  {
    id: 'O-062',
    area,
    requirement: ['AU-01', 'AU-03'],
    title:
      'a list holds what the role grants; what is listed and not callable is a refusal, and the rest does not exist',
    send: async (target) => {
      const list = async (as: Person) =>
        names((await target.send(call('tools/list', {}, { as }))).message.result?.tools)
      const plain = ['ask', 'ask_too', 'big', 'block', 'broken', 'count', 'echo', 'route', 'slow', 'write_note']
      expect(await list('A.read')).toEqual(plain)
      expect(await list('A.write')).toEqual(plain)
      expect(await list('A.clerk')).toEqual(
        plain.filter((name) => name !== 'write_note').toSpliced(7, 0, 'files_write'),
      )
      expect(await list('A.admin')).toEqual([...plain, 'admin_status', 'files_write', 'vault'].sort())
      expect(await list('A.limited')).toEqual(await list('A.admin'))
      for (const name of ['admin_status', 'files_write', 'vault'])
        expect((await target.send(tool(name, {}, { as: 'A.limited' }))).status).toBe(403)
      for (const name of ['admin_status', 'files_write', 'vault'])
        expect((await target.send(tool(name, {}, { as: 'A.read' }))).code).toBe('UNKNOWN_TOOL')
      return undefined
    },
  },
  {
    id: 'X-071',
    area,
    requirement: ['AU-01'],
    title: 'a scope of their own is enough for those who have it, and no other scope stands in for it',
    may: ['files_write'],
    send: async (target) => {
      expect((await target.send(tool('files_write', {}, { as: 'A.clerk' }))).said).toBe('written')
      expect((await target.send(tool('files_write', {}, { as: 'A.write' }))).code).toBe('UNKNOWN_TOOL')
      return undefined
    },
  },
  ...each(
    {
      id: 'O-065',
      area,
      requirement: ['AU-01', 'AU-02', 'SC-06'],
      title: 'a role without scopes may do nothing at all, whatever its key says',
      expect: { status: 403, code: 'INSUFFICIENT_SCOPE' },
    },
    Object.fromEntries([
      ...stateless.map((request): [string, AttackCase['send']] => [
        String(request.headers?.['Mcp-Method']),
        (target) => target.send({ ...request, as: 'A.none' }),
      ]),
      [
        'initialize',
        (target) =>
          target.send({
            as: 'A.none',
            body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}',
          }),
      ],
      ['ping', (target) => target.send({ as: 'A.none', body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' })],
      [
        'a notification',
        (target) =>
          target.send({
            ...call('notifications/cancelled', {}, { as: 'A.none' }),
            body: '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
          }),
      ],
    ]),
  ),
  {
    id: 'X-072',
    area,
    requirement: ['AU-02', 'AL-01'],
    title: 'every call that reaches a handler leaves a record that says who called what',
    send: async (target) => {
      const requests = [...stateless.slice(0, -1).map((request): Request => ({ ...request, as: 'A.read' }))]
      for (const request of requests) {
        const answer = await target.send(request)
        expect(answer.status, String(request.headers?.['Mcp-Method'])).toBe(200)
      }
      const { id } = target.key('A.read')
      await target.settled(() => {
        for (const request of requests)
          expect(target.audit()).toContainEqual(
            expect.objectContaining({
              method: request.headers?.['Mcp-Method'],
              success: true,
              clientId: id,
              tenant: 'tenant-a',
              ip: '127.0.0.1',
            }),
          )
      })
      return undefined
    },
  },
  {
    id: 'O-049',
    area,
    requirement: ['AU-04'],
    title: 'no header, parameter or argument changes the tenant',
    send: async (target) => {
      const answer = await target.send(
        call(
          'resources/read',
          { uri: 'note://1' },
          {
            as: 'A.read',
            headers: { 'X-Tenant-Id': 'tenant-b', 'X-Tenant': 'tenant-b' },
            meta: { tenant: 'tenant-b', 'io.modelcontextprotocol/tenant': 'tenant-b' },
          },
        ),
      )
      expect(answer.text).toContain('bytes-of-tenant-a')
      return answer
    },
    expect: { status: 200, audit: { tenant: 'tenant-a', method: 'resources/read', success: true } },
  },
  {
    id: 'X-073',
    area,
    requirement: ['TR-22', 'AU-04'],
    title: 'two tenants that use the same ids at the same time get each their own answers',
    send: async (target) => {
      const [a, b] = [await target.openSession('A.read'), await target.openSession('B.read')]
      const asked = Array.from({ length: 25 }, (_, id) => [
        target.send(call('resources/read', { uri: `note://${id}` }, { as: 'A.read', id })),
        target.send(call('resources/read', { uri: `note://${id}` }, { as: 'B.read', id })),
        target.send(a.request('resources/read', { uri: `note://${id}` }, { id })),
        target.send(b.request('resources/read', { uri: `note://${id}` }, { id })),
      ])
      for (const [id, four] of asked.entries()) {
        const answers = await Promise.all(four)
        for (const [at, answer] of answers.entries()) {
          expect(answer.message.id).toBe(id)
          expect(answer.text).toContain(`bytes-of-tenant-${at % 2 === 0 ? 'a' : 'b'} in note ${id}`)
        }
      }
      return undefined
    },
  },
  ...each(
    {
      id: 'O-066',
      area,
      requirement: ['AU-14'],
      title: 'a URI that would leave its place names nothing',
      expect: { code: 'UNKNOWN_RESOURCE' },
    },
    Object.fromEntries(
      [
        'file:///etc/passwd',
        'note://../../x',
        'note://%2e%2e%2f',
        'note://..',
        'note://%2e%2e',
        'note://a%00b',
        'note://a\u0000b',
        'note://a%2fb',
        'note://a%252fb',
        'note://a\\b',
        'note://a%5cb',
        'user:///../../etc/passwd',
        'user:///a/../b',
        'user:///a/%2e%2e/b',
        'user:////etc/passwd',
        'user:///a//b',
        'NOTE://1',
        'note:1',
        'note://',
        'note://missing',
        'note://%ff',
        'note://%c0%ae',
        'vault://front',
      ].map((uri): [string, AttackCase['send']] => [
        JSON.stringify(uri),
        async (target) => {
          const session = await target.openSession('A.read')
          const older = await target.send(session.request('resources/read', { uri }))
          expect(older.rpc).toBe(-32002)
          const newer = await target.send(call('resources/read', { uri }, { as: 'A.read' }))
          expect(newer.rpc).toBe(-32602)
          return [older, newer]
        },
      ]),
    ),
  ),
  {
    id: 'O-067',
    area,
    requirement: ['AU-15'],
    title: 'a hundred thousand characters against a template with a list are answered',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const answers = []
      for (const uri of [
        `user:///${'a,'.repeat(50_000)}!`,
        `user:///${'/a'.repeat(50_000)}`,
        `user:///${'%61'.repeat(33_000)}`,
        `note://${'%25'.repeat(33_000)}2e`,
      ])
        answers.push(await target.send(session.request('resources/read', { uri })))
      return answers
    },
    expect: { code: 'UNKNOWN_RESOURCE' },
  },
  ...each(
    {
      id: 'O-068',
      area,
      requirement: ['AU-13'],
      title: 'arguments that do not fit are refused before the handler runs, and the model is told what is wrong',
      expect: { status: 200, audit: { type: 'tool_access', success: false, code: 'INVALID_ARGUMENTS' } },
    },
    Object.fromEntries(
      (
        [
          ['write_note', {}],
          ['write_note', { text: 7 }],
          ['write_note', { text: 'x', extra: 1 }],
          ['write_note', { text: 'x'.repeat(1_001) }],
          ['write_note', { text: ['x'] }],
          ['echo', { text: null }],
          ['echo', { text: 'x', TEXT: 'y' }],
          ['count', { to: '5' }],
          ['count', { to: -1 }],
          ['count', { to: 1.5 }],
          ['slow', { x: 1 }],
          ['big', { bytes: 1e9 }],
          ['admin_status', { x: 1 }],
          ['files_write', { x: 1 }],
          ['vault', { door: 1 }],
          ['ask', { about: {} }],
        ] as const
      ).map(([name, args]): [string, AttackCase['send']] => [
        `${name} ${JSON.stringify(args).slice(0, 40)}`,
        async (target) => {
          const ran = ledger().ran.length
          const answer = await target.send(tool(name, args, { as: 'A.admin' }))
          expect(ledger().ran.slice(ran)).toEqual([])
          expect(answer.message.result?.isError).toBe(true)
          return answer
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-074',
      area,
      requirement: ['AU-13'],
      title: 'arguments that are no object are refused',
      expect: { status: 200, rpc: -32602 },
    },
    Object.fromEntries(
      (['text', 7, [], null, true] as const).map((args): [string, AttackCase['send']] => [
        JSON.stringify(args),
        (target) => target.send(call('tools/call', { name: 'write_note', arguments: args }, { as: 'A.write' })),
      ]),
    ),
  ),
  {
    id: 'O-115',
    area,
    requirement: ['AU-08'],
    title: 'lists and resources differ between callers, and are private to each',
    send: async (target) => {
      const answers = []
      for (const as of ['A.read', 'A.admin'] as const) {
        for (const method of [
          'tools/list',
          'prompts/list',
          'resources/list',
          'resources/templates/list',
          'server/discover',
        ]) {
          const answer = await target.send(call(method, {}, { as }))
          expect(answer.message.result?.['cacheScope'], method).toBe('private')
          answers.push(answer)
        }
        const read = await target.send(call('resources/read', { uri: 'note://1' }, { as }))
        expect(read.message.result?.['cacheScope']).toBe('private')
      }
      expect(answers[0]?.text).not.toBe(answers[5]?.text)
      return answers
    },
    expect: { status: 200, headers: { 'Cache-Control': 'no-store' } },
  },
]
