import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Target } from '../harness.ts'
import { planted } from '../invariants.ts'
import { call, type Request, tool } from '../request.ts'

const area = 'Transport: answers'
const secondEvent = '\n\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\nid: 1\r\ndata: x\r\r\u2028\u2029'
const streaming = { progressToken: 'p' }
const packed = { 'Accept-Encoding': 'gzip' }
const long = 'x'.repeat(2_000)
const uncompressed = async (target: Target, request: Request): Promise<undefined> => {
  expect((await target.send(request)).header('content-encoding')).toBeUndefined()
}

export const answerCases: readonly AttackCase[] = [
  {
    id: 'O-024',
    area,
    requirement: ['TR-23', 'RL-13'],
    title: 'every answer says its type, is not kept, is not compressed and does not say what served it',
    config: { server: { publicUrl: 'https://mcp.example' } },
    may: ['write_note'],
    send: async (target) => {
      const host = { Host: 'mcp.example' }
      const write = tool(
        'write_note',
        { text: 'x' },
        { as: 'A.write', headers: { ...host, 'Accept-Encoding': 'gzip, br' } },
      )
      const answers = [
        await target.send(write),
        await target.send({ ...write, headers: { ...write.headers, 'Content-Type': 'text/plain' } }),
        await target.send({ ...write, as: undefined }),
        await target.send({ ...write, as: 'A.read' }),
        await target.send({ ...write, path: '/nothing' }),
        await target.send({ ...write, verb: 'PUT' }),
        await target.send({ verb: 'OPTIONS', headers: { ...host, Origin: 'https://app.example' } }),
        await target.send({ verb: 'GET', path: '/health', headers: host }),
        await target.send(tool('echo', { text: 'x' }, { as: 'A.read', headers: host, meta: streaming })),
        ...(await target.raw('GARBAGE\r\n\r\n')).answers,
        await target.send({ ...write, headers: { ...write.headers, 'X-Long': 'x'.repeat(17_000) } }),
      ]
      expect(answers.map(({ status }) => status)).toEqual([200, 415, 401, 403, 404, 405, 204, 200, 200, 400, 431])
      for (const answer of answers) {
        expect(answer.header('strict-transport-security'), String(answer.status)).toMatch(/^max-age=31536000/)
        expect(answer.header('content-encoding')).toBeUndefined()
      }
      return undefined
    },
    expect: { notes: 1 },
  },
  ...each(
    {
      id: 'X-251',
      area,
      requirement: ['RL-13'],
      title: 'with compression on, an answer that holds what a credential opened is not compressed',
      config: { compression: { enabled: true, thresholdBytes: 0 } },
    },
    {
      'a call': (target) => uncompressed(target, tool('echo', { text: long }, { as: 'A.read', headers: packed })),
      'a list': (target) => uncompressed(target, call('tools/list', {}, { as: 'A.read', headers: packed })),
      'a stream': (target) =>
        uncompressed(target, tool('echo', { text: long }, { as: 'A.read', headers: packed, meta: streaming })),
    },
  ),
  {
    id: 'X-252',
    area,
    requirement: ['RL-13'],
    title: 'asked for by name the answer to a call is compressed, and a stream still is not',
    config: { compression: { enabled: true, dangerouslyIncludeCredentialed: true } },
    send: async (target) => {
      const echo = tool('echo', { text: long }, { as: 'A.read', headers: packed })
      const answer = await target.send(echo)
      expect(answer.header('content-encoding')).toBe('gzip')
      expect(answer.header('vary')).toBe('Origin, Accept-Encoding')
      return uncompressed(target, tool('echo', { text: long }, { as: 'A.read', headers: packed, meta: streaming }))
    },
  },
  ...each(
    {
      id: 'O-025',
      area,
      requirement: ['TR-24'],
      title: 'text that looks like an event arrives as text, in one event',
    },
    {
      '2026-07-28': async (target) => {
        const answer = await target.send(tool('echo', { text: secondEvent }, { as: 'A.read', meta: streaming }))
        expect(answer.events).toHaveLength(2)
        expect(JSON.parse(answer.events[0]!.data)).toMatchObject({ params: { message: secondEvent } })
        expect(answer.said).toBe(secondEvent)
        return undefined
      },
      '2025-11-25': async (target) => {
        const session = await target.openSession('A.read')
        const answer = await target.send(
          session.request('tools/call', { name: 'echo', arguments: { text: secondEvent }, _meta: streaming }),
        )
        expect(answer.messages).toHaveLength(2)
        expect(answer.said).toBe(secondEvent)
        return undefined
      },
    },
  ),
  ...each(
    {
      id: 'X-030',
      area,
      requirement: ['TR-24'],
      title: 'what a client sends begins no header of an answer',
    },
    {
      id: async (target) => {
        const answer = await target.send(
          tool('echo', { text: 'x' }, { as: 'A.read', id: 'a\r\nX-Injected: 1\r\n\r\n' }),
        )
        expect(answer.message.id).toBe('a\r\nX-Injected: 1\r\n\r\n')
        expect(answer.header('x-injected')).toBeUndefined()
        return undefined
      },
      scope: async (target) => {
        const answer = await target.send(tool('x"\r\nX-Injected: 1', {}, { as: 'A.read' }))
        expect(answer.header('x-injected')).toBeUndefined()
        return undefined
      },
    },
  ),
  {
    id: 'O-107',
    area,
    requirement: ['RL-19', 'AL-04'],
    title: 'what a tool throws stays inside: the caller gets a request id',
    send: async (target) => {
      const answer = await target.send(tool('broken', {}, { as: 'A.read' }))
      expect(answer.message.result?.isError).toBe(true)
      expect(answer.said).toMatch(/^The tool failed\. Request id: [0-9a-z-]+$/)
      return answer
    },
    expect: { status: 200, audit: { type: 'tool_access', tool: 'broken' } },
  },
  {
    id: 'O-107',
    sub: 'arguments',
    area,
    requirement: ['AL-04', 'SE-09'],
    title: 'arguments, headers and names of a client are in no log',
    send: async (target) => {
      const headers = { 'User-Agent': planted, 'X-Request-Id': planted, Traceparent: planted, Cookie: `a=${planted}` }
      return [
        await target.send(tool('echo', { text: planted }, { as: 'A.read', headers })),
        await target.send(tool('echo', { text: 7, [planted]: planted }, { as: 'A.read', headers })),
        await target.send(
          call(
            'completion/complete',
            { ref: { type: 'ref/prompt', name: 'greeting' }, argument: { name: 'whom', value: planted } },
            { as: 'A.read' },
          ),
        ),
        await target.send({ ...tool('echo', { text: planted }, { as: 'A.read' }), path: `/mcp?${planted}` }),
      ]
    },
    expect: { status: 200 },
  },
  {
    id: 'O-109',
    area,
    requirement: ['AL-05', 'TR-24'],
    title: 'a name that holds a record, or codes for a terminal, makes one well-formed line',
    send: async (target) => {
      const forged = 'x\n{"type":"auth","success":true}\u001b[2J\u202e\u0085'
      const session = await target.openSession('A.read')
      const size = target.auditBytes().length
      const answer = await target.send(session.request(forged))
      expect(answer.code).toBe('METHOD_NOT_FOUND')
      await target.settled(() => expect(target.audit(size).some(({ method }) => method === forged)).toBe(true))
      const line = target
        .auditBytes()
        .subarray(size)
        .toString('utf8')
        .split('\n')
        .find((each) => each.includes('METHOD_NOT_FOUND'))
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
      expect(target.audit(size).filter(({ type, success }) => type === 'auth' && success === true)).toEqual([])
      return undefined
    },
  },
]
