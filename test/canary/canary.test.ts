import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { Canaries, find } from './canaries.ts'

/*
 * F7, O-107: secrets, arguments and results are planted wherever a client can put them, with every log at its loudest. After
 * the server has stopped, all that it wrote anywhere is searched.
 */

const main = join(import.meta.dirname, '../../packages/merlon/src/main.ts')
const canaries = new Canaries()
const project = mkdtempSync(join(tmpdir(), 'merlon-canary-'))
const rounds = 7

/** All that was said to anybody but the client that asked, by place. */
const places = new Map<string, Buffer>()
/** What clients were answered, to see that what was planted did arrive. */
const answered: string[] = []
const statuses = new Map<number, number>()

interface Sent {
  readonly verb?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}
interface Heard {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

beforeAll(async () => {
  const hook: Buffer[] = []
  const receiver = createServer((request, response) => {
    hook.push(Buffer.from(`${request.method} ${JSON.stringify(request.headers)}\n`))
    request.on('data', (chunk: Buffer) => hook.push(chunk))
    request.on('end', () => response.writeHead(204).end())
  })
  await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening))
  const hookPort = (receiver.address() as AddressInfo).port

  cpSync(join(import.meta.dirname, 'project'), project, { recursive: true })
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(join(import.meta.dirname, '../../packages/merlon'), join(project, 'node_modules/merlon'))
  writeFileSync(
    join(project, 'merlon.config.json'),
    JSON.stringify({
      server: { port: 0 },
      log: { level: 'trace', requests: 'all' },
      metrics: { tools: true, tenants: true },
      audit: { flushMs: 1 },
      rateLimit: { callsMax: 100_000, failuresMax: 100_000, rules: [] },
      limits: { callTimeoutMs: 2_000 },
      alerts: {
        authFailuresPerMinute: 1,
        rateLimitPerMinute: 1,
        invalidKeysPerHour: 1,
        sessionViolationsPerMinute: 1,
        webhook: { url: 'env:ALERT_WEBHOOK_URL', secret: 'env:ALERT_WEBHOOK_KEY' },
      },
    }),
  )
  const secret = (what: string) => canaries.know(what, randomBytes(32).toString('hex'))
  const child = spawn(process.execPath, [main, 'start', '--project', project], {
    env: {
      PATH: process.env['PATH'],
      ENCRYPTION_KEY: secret('the root key'),
      API_KEY_SECRET: secret('the pepper'),
      ALERT_WEBHOOK_KEY: secret('the key of the webhook'),
      ALERT_WEBHOOK_URL: `http://127.0.0.1:${hookPort}/hook`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit')
  const program: Buffer[] = []
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => program.push(chunk))
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('Make one that lasts')) resolve()
    })
    child.once('exit', () => reject(new Error(`it did not start:\n${said}${Buffer.concat(program)}`)))
  })
  await ready
  const url = new URL(/http:\/\/[^\s]+\/mcp/.exec(said)![0])
  const key = /mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]+/.exec(said)![0]
  // The first key is shown to whoever starts the server, there and nowhere else.
  canaries.know('the first key', key.slice('mrl_000000000000_'.length))

  const send = ({ verb = 'POST', path = '/mcp', headers = {}, body }: Sent): Promise<Heard> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port: url.port, method: verb, path, headers, agent: false },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8')
            const status = response.statusCode ?? 0
            answered.push(text)
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
            resolve({ status, headers: response.headers, text })
          })
        },
      )
      request.on('error', reject)
      request.end(body)
    })
  try {
    for (let round = 0; round < rounds; round++) await plantStateless(send, key)
    for (let round = 0; round < rounds; round++) await plantStateful(send, key)
    for (let round = 0; round < rounds; round++) await plantStrangers(send)
    await plantControl(join(project, '.merlon', 'control.sock'))
    await vi.waitFor(() => expect(Buffer.concat(hook).toString().split('alert.firing').length).toBeGreaterThan(3), {
      timeout: 10_000,
    })
  } finally {
    child.kill('SIGTERM')
    await ended
    receiver.close()
  }
  places.set('the program log', Buffer.concat(program))
  places.set('the webhook', Buffer.concat(hook))
  places.set('the terminal', Buffer.from(said.replaceAll(key, '')))
  for (const name of readdirSync(join(project, '.merlon')))
    places.set(`the file ${name}`, readFileSync(join(project, '.merlon', name)))
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

const accept = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' }

type Send = (sent: Sent) => Promise<Heard>

function stateless(method: string, params: Record<string, unknown>, extra: Record<string, unknown> = {}): Sent {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: canaries.text('a client name'), version: '1' },
    'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    'io.modelcontextprotocol/logLevel': 'debug',
    'example.com/own': canaries.text('_meta'),
    progressToken: canaries.text('a progress token'),
    traceparent: canaries.text('a malformed trace'),
    ...extra,
  }
  const name = params['name'] ?? params['uri']
  return {
    headers: {
      ...accept,
      'MCP-Protocol-Version': '2026-07-28',
      'Mcp-Method': method,
      ...(typeof name === 'string' ? { 'Mcp-Name': name } : {}),
      'X-Anything': canaries.text('a header'),
      Cookie: canaries.text('a cookie'),
      'User-Agent': canaries.text('a user agent'),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: canaries.text('a request id'),
      method,
      params: { ...params, _meta: meta },
    }),
  }
}

async function plantStateless(send: Send, key: string): Promise<void> {
  const as = (sent: Sent): Promise<Heard> =>
    send({ ...sent, headers: { ...sent.headers, Authorization: `Bearer ${key}` } })
  const call = (name: string, args: Record<string, unknown>, extra?: Record<string, unknown>) =>
    as(stateless('tools/call', { name, arguments: args }, extra))
  await call('echo', { text: canaries.text('an argument and a result'), [canaries.text('the name of an argument')]: 1 })
  await call(
    'echo',
    {},
    {
      traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`,
      tracestate: `vendor=${canaries.word('the state of a trace')}`,
    },
  )
  await call('broken', { text: canaries.text('an argument that an error quotes') })
  await call('strict', {
    n: canaries.text('an argument that does not fit'),
    [canaries.text('an argument too many')]: 1,
  })
  await call(canaries.text('the name of no tool'), {})
  const asked = await call('ask', { text: canaries.text('an argument that waits') })
  const { inputRequests, requestState } = JSON.parse(asked.text).result ?? {}
  if (inputRequests !== undefined) {
    const [id] = Object.keys(inputRequests)
    const answer = { action: 'accept', content: { word: canaries.text('an answer of the user') } }
    const again = { name: 'ask', arguments: { text: canaries.text('an argument of a retry') }, requestState }
    await as(stateless('tools/call', { ...again, inputResponses: { [id!]: answer } }))
    await as(stateless('tools/call', { ...again, requestState: canaries.text('a made-up state') }))
  }
  await as(stateless('resources/read', { uri: `note://${canaries.word('the address of a resource')}` }))
  await as(stateless('resources/read', { uri: `note://bad${canaries.word('the address of a resource that fails')}` }))
  await as(stateless('resources/read', { uri: canaries.text('an address of nothing') }))
  await as(stateless('prompts/get', { name: 'greet', arguments: { whom: canaries.text('an argument of a prompt') } }))
  await as(
    stateless('prompts/get', { name: 'greet', arguments: { whom: `bad${canaries.text('a prompt that fails')}` } }),
  )
  const argument = { name: 'whom', value: canaries.text('a text to complete') }
  await as(stateless('completion/complete', { ref: { type: 'ref/prompt', name: 'greet' }, argument }))
  await as(stateless('tools/list', { cursor: canaries.text('a cursor') }))
  await as({ ...stateless('tools/list', {}), path: `/mcp?${canaries.word('a query')}` })
  await as({ ...stateless('tools/list', {}), body: `{"jsonrpc":"2.0",${canaries.text('a body that is no JSON')}` })
}

async function plantStateful(send: Send, key: string): Promise<void> {
  const as = (headers: Record<string, string>, message: object | undefined, verb = 'POST') =>
    send({
      verb,
      headers: { ...accept, 'X-API-Key': key, ...headers },
      ...(message === undefined ? {} : { body: JSON.stringify({ jsonrpc: '2.0', ...message }) }),
    })
  const opened = await as(
    {},
    {
      id: canaries.text('a request id of a session'),
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: { experimental: { [canaries.word('a capability')]: {} } },
        clientInfo: { name: canaries.text('the client of a session'), version: canaries.text('its version') },
      },
    },
  )
  const session = canaries.know('a session id', String(opened.headers['mcp-session-id']))
  const bound = { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-11-25' }
  await as(bound, { method: 'notifications/initialized' })
  const echo = { name: 'echo', arguments: { text: canaries.text('an argument in a session') } }
  const meta = { progressToken: canaries.text('a progress token in a session') }
  await as(bound, { id: 1, method: 'logging/setLevel', params: { level: 'debug' } })
  await as(bound, { id: 2, method: 'tools/call', params: { ...echo, _meta: meta } })
  const broken = { name: 'broken', arguments: { text: canaries.text('an argument that an error quotes in a session') } }
  await as(bound, { id: 3, method: 'tools/call', params: broken })
  await as(bound, {
    id: 4,
    method: 'resources/subscribe',
    params: { uri: `note://${canaries.word('a subscription')}` },
  })
  await as(bound, { id: 5, result: { text: canaries.text('an answer to nothing') } })
  await as({ ...bound, 'Last-Event-ID': canaries.text('an event id') }, undefined, 'GET')
  await as({ 'Mcp-Session-Id': canaries.word('an unknown session') }, { id: 6, method: 'ping' })
  await as(bound, undefined, 'DELETE')
}

/** Credentials that are not good, wherever one may be shown. */
async function plantStrangers(send: Send): Promise<void> {
  const shown = (headers: Record<string, string>) =>
    send({ ...stateless('tools/list', {}), headers: { ...accept, ...headers } })
  await shown({ 'X-API-Key': canaries.text('a bad key') })
  await shown({ Authorization: `Bearer ${canaries.text('a bad token')}` })
  await shown({ Authorization: `Basic ${Buffer.from(`user:${canaries.text('a password')}`).toString('base64')}` })
  await shown({ 'X-API-Key': `mrl_${'a'.repeat(12)}_${canaries.word('the secret of a bad key')}` })
  const claims = Buffer.from(JSON.stringify({ sub: canaries.text('a claim of a bad token') })).toString('base64url')
  await shown({ Authorization: `Bearer eyJhbGciOiJub25lIn0.${claims}.` })
  await send({ verb: 'GET', path: `/${canaries.word('a path that is none')}` })
  await send({ verb: 'GET', path: `/health?${canaries.word('a query of health')}` })
  await send({ verb: 'GET', path: '/health', headers: { Host: `${canaries.word('a host')}.example` } })
  await send({ verb: 'GET', path: '/health', headers: { Origin: `https://${canaries.word('an origin')}.example` } })
}

/** Users, passwords and keys that are made at the control plane, and what it says of the whole. */
async function plantControl(socket: string): Promise<void> {
  const control = httpControl({ socket })
  const ask = async (name: string, input: object = {}) => {
    const { body } = await control.call(name, input)
    return body as Record<string, unknown>
  }
  const password = canaries.text('the password of a user')
  await ask('users.create', {
    body: { tenant: 'default', name: 'canary', email: 'canary@example.org', role: 'user', password },
  })
  const login = await ask('auth.login', { body: { email: 'canary@example.org', password } })
  canaries.know('an access token', String(login['accessToken']).split('.')[2]!)
  const wrong = { email: 'canary@example.org', password: canaries.text('a wrong password') }
  await expect(control.call('auth.login', { body: wrong })).rejects.toThrow()
  const made = await ask('api-keys.create', {
    body: { name: 'canary', scopes: ['read'], user: 'canary', tenant: 'default' },
    attempt: canaries.word('the name of an attempt'),
  })
  const [text = ''] = /mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]+/.exec(JSON.stringify(made)) ?? []
  canaries.know('a key', text.slice('mrl_000000000000_'.length))
  await ask('api-keys.validate', { body: { key: canaries.text('a key to validate') } })
  for (const name of ['alerts.list', 'sessions.list', 'users.list', 'api-keys.list', 'audit.query', 'health.get'])
    places.set(`the answer of ${name}`, Buffer.from(JSON.stringify(await ask(name))))
  places.set('the metrics', Buffer.from(String((await control.call('metrics.get')).body)))
  await control.close()
}

describe('AL-04: what is planted is nowhere but in its answer', () => {
  test('it did arrive: what was asked for was answered, and what is refused was refused', () => {
    const [argument] = canaries.all.filter(({ what }) => what === 'an argument and a result')
    expect(answered.some((text) => text.includes(argument!.core))).toBe(true)
    for (const status of [200, 202, 204, 400, 401, 403, 404]) expect([...statuses.keys()]).toContain(status)
    expect(canaries.all.length).toBeGreaterThanOrEqual(1_000)
  })

  test('the places were written to', () => {
    expect(places.get('the program log')?.toString()).toContain('a tool failed')
    expect(places.get('the program log')?.toString()).toContain('"method":"tools/call"')
    expect(places.get('the file audit.jsonl')?.toString()).toContain('"tool":"echo"')
    expect(places.get('the metrics')?.toString()).toContain('merlon_tool_calls_total{tool="echo",outcome="completed"}')
    expect(places.get('the answer of alerts.list')?.toString()).toContain('authentication-failures')
    expect([...places.keys()]).toContain('the file merlon.db')
  })

  test('and it is in no log, record, metric, alert, notice or file, in any of its forms', () => {
    expect(find(canaries.all, places)).toEqual([])
  })
})
