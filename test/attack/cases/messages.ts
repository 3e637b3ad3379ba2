import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Target } from '../harness.ts'
import { ledger } from '../project/src/ledger.ts'
import { call, legacy, type Request, tool } from '../request.ts'

const area = 'Transport: messages'
const write = tool('write_note', { text: 'x' }, { as: 'A.write' })

/** The same bytes as a call of each revision: in a session, and alone with the headers of 2026-07-28. */
async function onBoth(target: Target, body: string | Buffer, method = 'tools/call', name = 'write_note') {
  const session = await target.openSession('A.write')
  return [
    await target.send({ as: 'A.write', body, headers: { 'Mcp-Session-Id': session.id } }),
    await target.send({ ...tool(name, {}, { as: 'A.write', headers: { 'Mcp-Method': method } }), body }),
  ]
}

const noteCall = (id: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}}}`

const encoded = (value: string) => Buffer.from(value).toString('base64')
const sentinel = (value: string) => `=?base64?${value}?=`

export const messageCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-009',
      area,
      requirement: ['TR-11', 'CO-11'],
      title: 'a POST that does not plainly say it is JSON is refused',
      expect: {
        status: 415,
        code: 'UNSUPPORTED_MEDIA_TYPE',
        audit: { success: false, code: 'UNSUPPORTED_MEDIA_TYPE' },
      },
    },
    Object.fromEntries(
      [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json\t;x',
        'application/json, text/plain',
        'application/jsonx',
        'application/json;charset=utf-7',
        'application/json; charset=utf-8; x=y',
        'text/json',
        'application/json;',
        '',
      ].map((type): [string, AttackCase['send']] => [
        type === '' ? 'none' : JSON.stringify(type),
        (target) => target.send({ ...write, headers: { ...write.headers, 'Content-Type': type === '' ? null : type } }),
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-020',
      area,
      requirement: ['CO-11'],
      title: 'a client that cannot read both forms of an answer is refused',
      expect: { status: 406, code: 'NOT_ACCEPTABLE', audit: { success: false } },
    },
    {
      html: (target) => target.send({ ...write, headers: { ...write.headers, Accept: 'text/html' } }),
      'json alone': (target) => target.send({ ...write, headers: { ...write.headers, Accept: 'application/json' } }),
      'a stream that is not acceptable': (target) =>
        target.send({ ...write, headers: { ...write.headers, Accept: 'application/json, text/event-stream;q=0' } }),
    },
  ),
  ...each(
    {
      id: 'O-011',
      area,
      requirement: ['TR-12', 'CO-13'],
      title: 'what is not JSON in UTF-8 is refused, and no id is made up for it',
      expect: { status: 400, rpc: -32700, audit: [{ success: false, code: 'PARSE_ERROR' }] },
    },
    Object.fromEntries(
      (
        [
          ['truncated', '{"jsonrpc":"2.0","id":1,"method":"tools/list"'],
          ['two bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x7b])],
          [
            'overlong',
            Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"\xc0\x80"}}', 'latin1'),
          ],
          [
            'half a surrogate',
            Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"\xed\xa0\x80"}}', 'latin1'),
          ],
          ['byte order mark', `\ufeff${noteCall('1')}`],
          ['UTF-16', Buffer.from(noteCall('1'), 'utf16le')],
          ['comment', `/**/${noteCall('1')}`],
          ['trailing comma', '{"jsonrpc":"2.0","id":1,"method":"tools/call",}'],
          ['NaN', '{"jsonrpc":"2.0","id":NaN,"method":"ping"}'],
          ['two messages', noteCall('1') + noteCall('2')],
          ['closing first', ']'.repeat(1_000) + '['.repeat(1_000)],
          ['nothing', ' '],
        ] as const
      ).map(([sub, body]): [string, AttackCase['send']] => [
        sub,
        async (target) => {
          const answers = await onBoth(target, body)
          for (const answer of answers) expect(answer.message.id ?? undefined).toBeUndefined()
          return answers
        },
      ]),
    ),
  ),
  {
    id: 'O-013',
    area,
    requirement: ['TR-13', 'CO-14'],
    title: 'a batch is refused whole',
    send: (target) => onBoth(target, `[${noteCall('1')},${noteCall('2')}]`),
    expect: { status: 400, rpc: -32600, audit: { success: false, reason: 'envelope' } },
  },
  ...each(
    {
      id: 'O-014',
      area,
      requirement: ['TR-14', 'CO-13'],
      title: 'a key that is said twice is refused, however it is spelled and wherever it stands',
      expect: { status: 400, code: 'INVALID_REQUEST', audit: { success: false, reason: 'duplicate-key' } },
    },
    Object.fromEntries(
      [
        [
          'method',
          '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}}}',
        ],
        [
          'method, escaped',
          '{"jsonrpc":"2.0","id":1,"method":"tools/list","m\\u0065thod":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}}}',
        ],
        [
          'name',
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"write_note","arguments":{"text":"x"}}}',
        ],
        [
          'deep in arguments',
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_note","arguments":{"text":"x","a":[{"b":1,"\\u0062":2}]}}}',
        ],
        ['the same value', '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}'],
        ['empty', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"":1,"":2}}'],
      ].map(([sub = '', body = '']): [string, AttackCase['send']] => [sub, (target) => onBoth(target, body)]),
    ),
  ),
  ...each(
    {
      id: 'O-015',
      area,
      requirement: ['TR-14', 'CO-14'],
      title: 'an envelope key that is not exact is refused',
      expect: { status: 400, rpc: -32600, audit: { success: false, code: 'INVALID_REQUEST' } },
    },
    Object.fromEntries(
      [
        [
          'capitals',
          '{"jsonrpc":"2.0","id":1,"Method":"tools/call","PARAMS":{"name":"write_note","arguments":{"text":"x"}}}',
        ],
        [
          'a further key',
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}},"METHOD":"tools/list"}',
        ],
        ['no version', '{"id":1,"method":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}}}'],
        ['version 1', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
        ['version as a number', '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
        ['params as a list', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["write_note",{"text":"x"}]}'],
        ['params as null', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}'],
        ['method as an object', '{"jsonrpc":"2.0","id":1,"method":{"a":1}}'],
        ['method without a name', '{"jsonrpc":"2.0","id":1,"method":""}'],
        ['request and result at once', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}'],
        ['result and error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}'],
        ['a text', '"tools/call"'],
        ['null', 'null'],
      ].map(([sub = '', body = '']): [string, AttackCase['send']] => [sub, (target) => onBoth(target, body)]),
    ),
  ),
  ...each(
    {
      id: 'O-016',
      area,
      requirement: ['TR-15', 'CO-14'],
      title: 'an id that is neither a string nor a safe integer is refused',
      expect: { status: 400, rpc: -32600, audit: { success: false, reason: 'id' } },
    },
    Object.fromEntries(
      ['null', '1.5', 'true', '{}', '[]', '9007199254740993', '1e400', `"${'x'.repeat(300)}"`].map(
        (id): [string, AttackCase['send']] => [id.slice(0, 20), (target) => onBoth(target, noteCall(id))],
      ),
    ),
  ),
  {
    id: 'X-021',
    area,
    requirement: ['TR-15'],
    title: 'an id that is still being answered in a session is refused',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const first = session.request('tools/call', { name: 'slow', _meta: { progressToken: 1 } }, { id: 'same' })
      const running = await target.begin(first)
      await running.messages(2)
      const answer = await target.send(first)
      const cut = await target.send(session.end())
      expect(cut.status).toBe(204)
      return answer
    },
    expect: { status: 400, code: 'DUPLICATE_REQUEST_ID', audit: { success: false, code: 'DUPLICATE_REQUEST_ID' } },
  },
  ...each(
    {
      id: 'O-017',
      area,
      requirement: ['TR-16'],
      title: 'names that every object has change nothing, and give nobody a right',
      may: ['echo'],
    },
    Object.fromEntries(
      ['__proto__', 'constructor', 'prototype', 'hasOwnProperty'].map((name): [string, AttackCase['send']] => [
        name,
        async (target) => {
          const power = '{"isAdmin":true,"scopes":["admin"],"effective":["admin"]}'
          const params = `{"name":"echo","arguments":{"text":"x","extra":{"${name}":${name === 'constructor' ? `{"prototype":${power}}` : power}}}}`
          const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`
          const session = await target.openSession('A.limited')
          const planted = await target.send({ as: 'A.limited', body, headers: { 'Mcp-Session-Id': session.id } })
          expect([200, 400]).toContain(planted.status)
          expect((await target.send(tool('admin_status', {}, { as: 'A.limited' }))).status).toBe(403)
          expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined()
          return undefined
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-022',
      area,
      requirement: ['TR-16', 'AU-01'],
      title: 'a name that every object has is an unknown method, tool, prompt, argument or header',
    },
    Object.fromEntries(
      ['constructor', '__proto__', 'toString', 'hasOwnProperty'].map((name): [string, AttackCase['send']] => [
        name,
        async (target) => {
          const as = 'A.admin'
          expect((await target.send(call(name, {}, { as }))).rpc).toBe(-32601)
          expect((await target.send(tool(name, {}, { as }))).code).toBe('UNKNOWN_TOOL')
          expect((await target.send(call('prompts/get', { name }, { as }))).code).toBe('UNKNOWN_PROMPT')
          expect((await target.send(call('resources/read', { uri: name }, { as }))).code).toBe('UNKNOWN_RESOURCE')
          const completion = { ref: { type: 'ref/prompt', name: 'greeting' }, argument: { name, value: '' } }
          expect(
            (await target.send(call('completion/complete', completion, { as }))).message.result?.['completion'],
          ).toEqual({
            values: [],
            total: 0,
            hasMore: false,
          })
          return undefined
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'O-018',
      area,
      requirement: ['TR-17', 'CO-15'],
      title:
        'a header of 2026-07-28 that is missing or says another thing than the body is refused, and neither is done',
      expect: { status: 400, rpc: -32020, audit: { success: false, code: 'HEADER_MISMATCH' } },
    },
    Object.fromEntries(
      (
        [
          ['another name', { 'Mcp-Name': 'echo' }],
          ['no name', { 'Mcp-Name': null }],
          ['another method', { 'Mcp-Method': 'tools/list' }],
          ['no method', { 'Mcp-Method': null }],
          ['a method in capitals', { 'Mcp-Method': 'TOOLS/CALL' }],
          ['no version', { 'MCP-Protocol-Version': null }],
          ['an older version', { 'MCP-Protocol-Version': legacy }],
          ['Base64 with junk', { 'Mcp-Name': sentinel(`${encoded('write_note')}!`) }],
          ['Base64 without padding', { 'Mcp-Name': sentinel(encoded('write_note').replace(/=+$/, '')) }],
          ['Base64 with other trailing bits', { 'Mcp-Name': sentinel('d3JpdGVfbm90ZR==') }],
          ['Base64 of another name', { 'Mcp-Name': sentinel(encoded('echo')) }],
          ['Base64 that is not closed', { 'Mcp-Name': `=?base64?${encoded('write_note')}` }],
        ] as const
      ).map(([sub, headers]): [string, AttackCase['send']] => [
        sub,
        (target) => target.send(tool('write_note', { text: 'x' }, { as: 'A.write', headers })),
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-029',
      area,
      requirement: ['TR-17', 'TR-18', 'CO-15'],
      title: 'a parameter that is repeated in a header says the same there, or nothing is done',
      expect: { status: 400, rpc: -32020, audit: { success: false, code: 'HEADER_MISMATCH', tool: 'route' } },
    },
    Object.fromEntries(
      (
        [
          ['missing', { region: 'eu' }, {}],
          ['another', { region: 'eu' }, { 'Mcp-Param-Region': 'us' }],
          ['another case', { region: 'eu' }, { 'Mcp-Param-Region': 'EU' }],
          ['empty', { region: 'eu' }, { 'Mcp-Param-Region': '' }],
          ['of a parameter that is not there', { region: 'eu' }, { 'Mcp-Param-Region': 'eu', 'Mcp-Param-Level': '1' }],
          ['another number', { region: 'eu', level: 1 }, { 'Mcp-Param-Region': 'eu', 'Mcp-Param-Level': '2' }],
          ['a number that is none', { region: 'eu', level: 1 }, { 'Mcp-Param-Region': 'eu', 'Mcp-Param-Level': '0x1' }],
          ['Base64 with junk', { region: 'eu' }, { 'Mcp-Param-Region': sentinel(`${encoded('eu')}!`) }],
          ['Base64 of another', { region: 'eu' }, { 'Mcp-Param-Region': sentinel(encoded('us')) }],
          ['of what is inherited', { region: 'eu' }, { 'Mcp-Param-Region': 'eu', 'Mcp-Param-Level': 'function' }],
        ] as const
      ).map(([sub, args, headers]): [string, AttackCase['send']] => [
        sub,
        async (target) => {
          const ran = ledger().ran.length
          const answer = await target.send(tool('route', args, { as: 'A.read', headers }))
          expect(ledger().ran.slice(ran)).toEqual([])
          return answer
        },
      ]),
    ),
  ),
  {
    id: 'X-029',
    sub: 'equal',
    area,
    requirement: ['TR-17'],
    title: 'a parameter that is repeated in a header as it is, or in canonical Base64, is taken',
    send: async (target) => [
      await target.send(
        tool('route', { region: 'eu' }, { as: 'A.read', headers: { 'Mcp-Param-Region': sentinel(encoded('eu')) } }),
      ),
      await target.send(
        tool(
          'route',
          { region: 'eu', level: 3 },
          { as: 'A.read', headers: { 'Mcp-Param-Region': 'eu', 'Mcp-Param-Level': '3' } },
        ),
      ),
    ],
    expect: { status: 200 },
  },
  {
    id: 'X-019',
    area,
    requirement: ['TR-15', 'AU-02'],
    title: 'a call without an id runs nothing, in any revision',
    send: async (target) => {
      const body = '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_note","arguments":{"text":"x"}}}'
      return await onBoth(target, body)
    },
    expect: { status: 202 },
  },
  {
    id: 'X-023',
    area,
    requirement: ['TR-17', 'TR-18'],
    title: 'the canonical Base64 form of a name is the name',
    send: (target) =>
      target.send(
        tool('write_note', { text: 'x' }, { as: 'A.write', headers: { 'Mcp-Name': sentinel(encoded('write_note')) } }),
      ),
    expect: { status: 200, notes: 1 },
  },
  {
    id: 'X-024',
    area,
    requirement: ['TR-17', 'AU-01'],
    title: 'the scope is that of the tool in the body, whatever a header says',
    send: (target) => target.send(tool('write_note', { text: 'x' }, { as: 'A.read', headers: { 'X-Tool': 'echo' } })),
    expect: { status: 403, code: 'INSUFFICIENT_SCOPE' },
  },
  ...each(
    {
      id: 'O-021',
      area,
      requirement: ['TR-17', 'CO-15'],
      title: 'an unknown revision is refused with those that are known',
      expect: { status: 400, rpc: -32022, audit: { success: false, code: 'UNSUPPORTED_PROTOCOL_VERSION' } },
    },
    Object.fromEntries(
      ['1900-01-01', '2026-07-29', '', 'constructor', 'x'.repeat(500)].map((version): [string, AttackCase['send']] => [
        JSON.stringify(version.slice(0, 20)),
        async (target) => {
          const answer = await target.send(
            tool(
              'write_note',
              { text: 'x' },
              {
                as: 'A.write',
                headers: { 'MCP-Protocol-Version': version },
                meta: { 'io.modelcontextprotocol/protocolVersion': version },
              },
            ),
          )
          const { error } = answer.message
          expect(typeof error === 'object' ? error.data?.['supported'] : undefined).toContain('2026-07-28')
          return answer
        },
      ]),
    ),
  ),
  {
    id: 'O-022',
    area,
    requirement: ['CO-15'],
    title: 'an unknown method of 2026-07-28 is 404',
    send: (target) => target.send(call('foo/bar', {}, { as: 'A.write' })),
    expect: { status: 404, rpc: -32601, audit: { success: false, code: 'METHOD_NOT_FOUND' } },
  },
  ...each(
    {
      id: 'X-025',
      area,
      requirement: ['CO-15', 'TR-19'],
      title: 'a method of the other generation does not exist',
      expect: { status: 404, rpc: -32601 },
    },
    Object.fromEntries(
      ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe'].map((method): [string, AttackCase['send']] => [
        method,
        (target) => target.send(call(method, {}, { as: 'A.write' })),
      ]),
    ),
  ),
  {
    id: 'X-026',
    area,
    requirement: ['CO-15'],
    title: 'a question that the client cannot answer is refused with the capability it lacks',
    send: (target) => target.send(tool('ask', {}, { as: 'A.read' })),
    expect: { status: 400, rpc: -32021 },
  },
  ...each(
    {
      id: 'O-023',
      area,
      requirement: ['TR-19', 'CO-10'],
      title: 'GET and DELETE of 2026-07-28 are refused, and a session of an older revision lives on',
      expect: {
        status: 405,
        headers: { Allow: 'POST, OPTIONS' },
        audit: { success: false, code: 'METHOD_NOT_ALLOWED' },
      },
    },
    Object.fromEntries(
      ['GET', 'DELETE'].map((verb): [string, AttackCase['send']] => [
        verb,
        async (target) => {
          const session = await target.openSession('A.read')
          const answer = await target.send({
            as: 'A.read',
            verb,
            headers: { 'Mcp-Session-Id': session.id, 'MCP-Protocol-Version': '2026-07-28' },
          })
          expect((await target.send(session.request('ping'))).status).toBe(200)
          return answer
        },
      ]),
    ),
  ),
  {
    id: 'X-027',
    area,
    requirement: ['TR-19', 'EV-10'],
    title: 'session and event headers of a 2026-07-28 call are ignored and not given back',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const answer = await target.send(
        tool(
          'echo',
          { text: 'x' },
          { as: 'A.read', headers: { 'Mcp-Session-Id': session.id, 'Last-Event-ID': 'AAAA' } },
        ),
      )
      const foreign = await target.send(
        tool('echo', { text: 'x' }, { as: 'B.read', headers: { 'Mcp-Session-Id': session.id } }),
      )
      return [answer, foreign]
    },
    expect: { status: 200, headers: { 'Mcp-Session-Id': null } },
  },
  ...each(
    {
      id: 'X-028',
      area,
      requirement: ['TR-20', 'AU-01'],
      title: 'an older revision, named or not, is refused for the same lack of a scope',
      expect: { status: 403, code: 'INSUFFICIENT_SCOPE' },
    },
    Object.fromEntries(
      ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'].map((version): [string, AttackCase['send']] => [
        version,
        async (target) => {
          const session = await target.openSession('A.read', { version })
          const bare: Request = session.request('tools/call', { name: 'write_note', arguments: { text: 'x' } })
          return [
            await target.send(bare),
            await target.send({ ...bare, headers: { ...bare.headers, 'MCP-Protocol-Version': version } }),
          ]
        },
      ]),
    ),
  ),
]
