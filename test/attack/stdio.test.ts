import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type StdioProject, stdioProject } from '../client/stdio-project.ts'
import { opening, RawHost, statelessMeta } from '../stdio/host.ts'

let project: StdioProject
const hosts: RawHost[] = []

beforeAll(async () => {
  project = await stdioProject('test/stdio/project')
})
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.stop()
})
afterAll(async () => {
  await project.remove()
})

const log = () => join(project.env['MERLON_STORE_FOLDER']!, 'audit.jsonl')

function start(key: string | null = project.key, env: Readonly<Record<string, string>> = {}): RawHost {
  const host = new RawHost(project, key ?? undefined, env)
  hosts.push(host)
  return host
}

/** What remains when the process has ended, so that all is written. */
function records(): readonly Record<string, unknown>[] {
  return readFileSync(log(), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

const lastRefusal = () => records().findLast(({ success }) => success === false)

describe('lines', () => {
  const ping = '{"jsonrpc":"2.0","id":7,"method":"ping"}'
  test.each([
    ['nonsense', Buffer.from('nonsense'), -32700, 'PARSE_ERROR'],
    ['an empty line', Buffer.alloc(0), -32700, 'PARSE_ERROR'],
    ['bytes that are no UTF-8', Buffer.from('7b22ff223a317d', 'hex'), -32700, 'PARSE_ERROR'],
    ['a byte order mark', Buffer.from(`\ufeff${ping}`), -32700, 'PARSE_ERROR'],
    ['two messages on one line', Buffer.from(ping + ping), -32700, 'PARSE_ERROR'],
    ['a batch', Buffer.from(`[${ping}]`), -32600, 'INVALID_REQUEST'],
    ['a key said twice', Buffer.from('{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}'), -32600, 'INVALID_REQUEST'],
    ['a key that is none', Buffer.from('{"jsonrpc":"2.0","id":7,"method":"ping","x":1}'), -32600, 'INVALID_REQUEST'],
    [
      'the key __proto__',
      Buffer.from('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"__proto__":{}}}'),
      -32600,
      'INVALID_REQUEST',
    ],
    [
      'too many levels',
      Buffer.from(`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${'['.repeat(70)}${']'.repeat(70)}}}`),
      -32600,
      'INVALID_REQUEST',
    ],
    ['a line of one byte too many', Buffer.alloc(65_537, 0x20), -32600, 'BODY_TOO_LARGE'],
    ['a line of 8 MiB', Buffer.alloc(8_388_608, 0x7b), -32600, 'BODY_TOO_LARGE'],
  ])('ST-03, TR-12, TR-14: %s is answered once, recorded, and the next line is taken', async (_, line, rpc, code) => {
    const host = start()
    host.write(Buffer.concat([line, Buffer.from('\n')]))
    const refused = await host.next()
    expect(refused).toMatchObject({ jsonrpc: '2.0', error: { code: rpc, data: { code } } })
    expect(refused).not.toHaveProperty('id')
    expect(await host.ask({ id: 7, method: 'ping' })).toEqual({ jsonrpc: '2.0', id: 7, result: {} })
    await host.stop()
    const { code: recorded, transport, type, ip } = lastRefusal() ?? {}
    expect({ code: recorded, transport, type, ip }).toEqual({ code, transport: 'stdio', type: 'edge', ip: undefined })
  })

  test('ST-03: what is never answered is not, whatever is wrong with it', async () => {
    const host = start()
    host.send({ id: 'made up', result: {} })
    host.send({ method: 'notifications/made-up' })
    host.send({ method: 'notifications/cancelled', params: { requestId: { a: 1 } } })
    host.send({ method: 'notifications/x', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '1' } } })
    expect(await host.ask({ id: 1, method: 'ping' })).toMatchObject({ id: 1 })
  })

  test('TR-15: an id that a call holds is refused, in either revision, and the call goes on', async () => {
    const host = start()
    host.stateless('a', 'tools/call', { name: 'wait', arguments: {}, _meta: { progressToken: 1 } })
    expect(await host.next()).toMatchObject({ method: 'notifications/progress' })
    const again = await host.callStateless('a', 'say')
    expect(again).toMatchObject({ id: 'a', error: { code: -32600, data: { code: 'DUPLICATE_REQUEST_ID' } } })
    expect(await host.ask({ id: 'a', method: 'ping' })).toMatchObject({
      error: { data: { code: 'DUPLICATE_REQUEST_ID' } },
    })
    host.send({ method: 'notifications/cancelled', params: { requestId: 'a' } })
    expect(await host.callStateless('a', 'environment')).toMatchObject({ id: 'a', result: {} })
  })
})

describe('the key', () => {
  test('ST-02: without one nothing is served', async () => {
    const host = start(null)
    host.send({ id: 1, method: 'ping' })
    expect(await host.ended()).toBe(1)
    expect(host.stdout).toBe('')
    expect(host.stderr).toContain(
      'merlon: MERLON_API_KEY is not set\nmerlon: hint: make a key with `merlon key create --name host --scopes read,write`',
    )
  })

  const changed = (key: string) => `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
  test.each([
    ['no key at all', () => 'Bearer', 'malformed'],
    ['a key with a letter changed', () => changed(project.key), 'malformed'],
    [
      'a key that is not known',
      () => 'mrl_000000000000_0000000000000000000000000000000000000000000000000',
      'malformed',
    ],
    [
      'a key of the control plane',
      () => project.run('key', 'create', '--name', 'c', '--scopes', 'read', '--use', 'control').match(/mrl_\w+/)![0],
      'wrong-door',
    ],
    [
      'a key that is bound to addresses',
      () =>
        project
          .run('key', 'create', '--name', 'a', '--scopes', 'read', '--address-ranges', '0.0.0.0/0,::/0')
          .match(/mrl_\w+/)![0],
      'address',
    ],
  ])('ST-02: %s ends the process with the one sentence, and the record says which', async (_, keyOf, reason) => {
    const host = start(keyOf())
    host.send({ id: 1, method: 'ping' })
    expect(await host.ended()).toBe(1)
    expect(host.stdout).toBe('')
    expect(host.stderr).toMatch(/^merlon: the key in MERLON_API_KEY is not good\nmerlon: hint: .*\n$/m)
    expect(host.stderr).not.toMatch(/mrl_/)
    expect(records().findLast(({ type }) => type === 'auth')).toMatchObject({
      code: 'INVALID_API_KEY',
      reason,
      transport: 'stdio',
    })
  })

  test('ST-02, AU-09: one that is revoked while it runs ends what is under way, and every call after it', async () => {
    const made = project.run('key', 'create', '--name', 'taken back', '--scopes', 'read', '--json')
    const { id, key } = JSON.parse(made) as { id: string; key: string }
    const host = start(key)
    await host.initialize()
    host.send({ id: 1, method: 'tools/call', params: { name: 'wait', arguments: {}, _meta: { progressToken: 1 } } })
    expect(await host.next()).toMatchObject({ method: 'notifications/progress' })
    project.run('key', 'revoke', id, '--yes')
    expect(await host.next()).toMatchObject({ id: 1, error: { code: 40102 } })
    expect(await host.ask({ id: 2, method: 'tools/list' })).toMatchObject({
      id: 2,
      error: { code: 40102, message: 'Invalid API key' },
    })
    expect(await host.callStateless(3, 'say')).toMatchObject({ id: 3, error: { code: 40102 } })
    await host.stop()
    expect(lastRefusal()).toMatchObject({ type: 'auth', clientId: id, reason: 'revoked', transport: 'stdio' })
  })

  test('ST-04: it is out of the reach of tools', async () => {
    const host = start()
    expect(await host.callStateless(1, 'environment')).toMatchObject({
      result: { content: [{ text: 'MERLON_STORE_FOLDER' }] },
    })
  })
})

test('AU-03: a tool that the role cannot reach is, byte for byte, one that is not there', async () => {
  project.run('user', 'create', 'reader', '--role', 'user')
  const made = project.run('key', 'create', '--name', 'r', '--scopes', 'read', '--user', 'reader', '--json')
  const host = start((JSON.parse(made) as { key: string }).key)
  const { error, result } = await host.callStateless(1, 'secret')
  expect(result).toBeUndefined()
  expect(error).toEqual((await host.callStateless(1, 'nothing')).error)
  expect(error).toMatchObject({ code: -32602, data: { code: 'UNKNOWN_TOOL' } })
  await host.stop()
  expect(records().find(({ tool }) => tool === 'secret')).toMatchObject({ reason: 'hidden', transport: 'stdio' })
})

test('ST-01: nothing but messages is on standard output, whatever a tool prints', async () => {
  const host = start()
  await host.initialize()
  expect(await host.ask({ id: 1, method: 'tools/call', params: { name: 'say' } })).toMatchObject({
    id: 1,
    result: { content: [{ text: 'said' }] },
  })
  await host.stop()
  const messages = host.stdout.trim().split('\n')
  expect(messages.map((line) => (JSON.parse(line) as { id: unknown }).id)).toEqual([0, 1])
  expect(host.stderr).toContain('printed while it was loaded\n')
  expect(host.stderr).toContain('notifications/tools/list_changed')
  expect(host.stderr).toContain('printed while it ran\n')
})

test('ST-01: lines of the audit log that are asked for on standard output are no messages either', async () => {
  const host = start(project.key, { MERLON_AUDIT_STDOUT: 'true' })
  expect(await host.callStateless(1, 'environment')).toMatchObject({ id: 1 })
  await host.stop()
  expect(host.stdout.trim().split('\n')).toHaveLength(1)
  expect(host.stderr).toContain('"method":"tools/call","tool":"environment"')
})

describe('sessions', () => {
  test('TR-19: one for the pipe; what needs one is refused before, and a second initialize after', async () => {
    const host = start()
    expect(await host.ask({ id: 1, method: 'tools/list' })).toMatchObject({
      id: 1,
      error: { data: { code: 'SESSION_NOT_FOUND' } },
    })
    expect(await host.initialize()).toMatchObject({ id: 0, result: { protocolVersion: '2025-11-25' } })
    expect(await host.ask({ id: 2, method: 'initialize', params: opening })).toMatchObject({
      id: 2,
      error: { code: -32600 },
    })
    expect(await host.ask({ id: 3, method: 'tools/list' })).toMatchObject({
      id: 3,
      result: { tools: expect.any(Array) },
    })
    host.stateless(4, 'tools/list')
    expect(await host.next()).toMatchObject({ id: 4, result: { resultType: 'complete' } })
  })

  test('two in one write are one: the second finds the first', async () => {
    const host = start()
    const initialize = (id: number) => JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params: opening })
    host.write(`${initialize(1)}\n${initialize(2)}\n`)
    expect(await host.next()).toMatchObject({ id: 1, result: {} })
    expect(await host.next()).toMatchObject({ id: 2, error: { code: -32600 } })
  })

  test('a version that is not spoken is refused with those that are', async () => {
    const host = start()
    const _meta = { ...statelessMeta, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' }
    expect(await host.ask({ id: 1, method: 'tools/list', params: { _meta } })).toMatchObject({
      id: 1,
      error: { code: -32022, data: { supported: ['2026-07-28'], requested: '2099-01-01' } },
    })
  })
})

test('RL-01: calls beyond the limit are refused, and when to come back stands in the answer', async () => {
  const host = start(project.key, { MERLON_RATE_LIMIT_CALLS_MAX: '2' })
  host.stateless(1, 'tools/list')
  host.stateless(2, 'tools/list')
  host.stateless(3, 'tools/list')
  expect(await host.next()).toMatchObject({ id: 1, result: {} })
  expect(await host.next()).toMatchObject({ id: 2, result: {} })
  expect(await host.next()).toMatchObject({ id: 3, error: { code: 42901, data: { retryAfter: expect.any(Number) } } })
})

describe('the end', () => {
  test('ST-05: it ends when its input is closed, when what it has read is answered', async () => {
    const host = start()
    host.stateless(1, 'tools/list')
    host.closeInput()
    expect(await host.next()).toMatchObject({ id: 1, result: {} })
    expect(await host.ended()).toBe(0)
    expect(records().at(-2)).toMatchObject({ type: 'server', action: 'stop' })
  })

  test('ST-05: a call that goes on ends with it, and a subscription is closed', async () => {
    const host = start()
    host.stateless('s', 'subscriptions/listen', { notifications: { toolsListChanged: true } })
    expect(await host.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' })
    host.stateless('w', 'tools/call', { name: 'wait', arguments: {}, _meta: { progressToken: 1 } })
    expect(await host.next()).toMatchObject({ method: 'notifications/progress' })
    host.terminate()
    expect(await host.next()).toMatchObject({ id: 's', result: { resultType: 'complete' } })
    expect(await host.next()).toMatchObject({ id: 'w', error: { data: { code: 'DRAINING' } } })
    expect(await host.ended()).toBe(0)
  })

  test('ST-05: a host that reads no more is a host that has left', async () => {
    const host = start()
    await host.initialize()
    host.closeOutput()
    for (let id = 1; id < 100; id++) host.send({ id, method: 'tools/list' })
    expect(await host.ended()).toBe(0)
  })
})

test('ST-06: a data folder has one writer: a second process says who has it, and what to do', async () => {
  const first = start()
  await first.initialize()
  const second = start()
  expect(await second.ended()).toBe(1)
  expect(second.stderr).toMatch(/merlon: another server serves from \S+\nmerlon: hint: connect the host to the address/)
})
