import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { listens } from '../control-socket.ts'
import { ControlRefusal } from './control.ts'
import { ControlUnreachable, httpControl } from './http-control.ts'

const servers: { close(): unknown }[] = []
const folders: string[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-control-'))
  folders.push(folder)
  return folder
}

const json = { 'Content-Type': 'application/json' }
const problemJson = { 'Content-Type': 'application/problem+json; charset=utf-8' }
const problem = { type: 'urn:x', title: 'There is no such entry.', status: 404, code: 'ENTRY_UNKNOWN' }

describe('the control plane behind an address', () => {
  test('a request is the operation as the table has it', async () => {
    const seen: unknown[] = []
    const url = await serve(async (request, response) => {
      const { authorization, 'if-match': version, 'idempotency-key': attempt } = request.headers
      seen.push([request.method, request.url, authorization, version, attempt, await text(request)])
      response.writeHead(200, json).end('{"version":4}')
    })
    const control = httpControl({ url, credential: 'mrl_secret' })
    await control.call('users.update', { params: { id: 'usr_1' }, version: 3, body: { name: 'ann' } })
    await control.call('users.list', { query: { name: 'a&b', limit: 2 }, attempt: 'once' })
    expect(seen).toEqual([
      ['PATCH', '/api/users/usr_1', 'Bearer mrl_secret', '"3"', undefined, '{"name":"ann"}'],
      ['GET', '/api/users?name=a%26b&limit=2', 'Bearer mrl_secret', undefined, 'once', ''],
    ])
  })

  test.each(['../tenants/acme', 'a/b', 'a?b', '', 'a%2f', 'ä'])(
    'an id such as %j is of nothing, and is not sent',
    async (id) => {
      let asked = 0
      const url = await serve((_, response) => {
        asked++
        response.end()
      })
      const refused = await failure(httpControl({ url, credential: 'x' }).call('users.get', { params: { id } }))
      expect(refused).toBeInstanceOf(ControlRefusal)
      expect(asked).toBe(0)
    },
  )

  test('a refusal is thrown with what the server said of it', async () => {
    const url = await serve((_, response) => response.writeHead(404, problemJson).end(JSON.stringify(problem)))
    const refused = await failure(httpControl({ url, credential: 'x' }).call('users.get', { params: { id: 'usr_1' } }))
    expect(refused).toEqual(new ControlRefusal(problem))
  })

  test('it follows no redirect: the credential goes where it was told to go', async () => {
    const away: unknown[] = []
    const other = await serve((request, response) => {
      away.push(request.url)
      response.end()
    })
    const url = await serve((_, response) => response.writeHead(302, { Location: other.href }).end())
    expect(await how(httpControl({ url, credential: 'x' }).call('auth.me'))).toBe('foreign')
    expect(away).toEqual([])
  })

  test.each<[string, RequestListener]>([
    ['a page', (_, response) => response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>no</h1>')],
    ['JSON that is none', (_, response) => response.writeHead(200, json).end('{')],
    ['another status', (_, response) => response.writeHead(202, json).end('{}')],
    ['a problem of nobody', (_, response) => response.writeHead(400, problemJson).end('{}')],
  ])('%s is no answer of a control plane', async (_, listener) => {
    const url = await serve(listener)
    expect(await how(httpControl({ url, credential: 'x' }).call('auth.me'))).toBe('foreign')
  })

  test('what was never asked and what was asked in vain are told apart', async () => {
    const gone = await serve(() => {})
    servers.pop()?.close()
    expect(await how(httpControl({ url: gone, credential: 'x' }).call('auth.me'))).toBe('absent')
    const dying = await serve((request) => request.socket.destroy())
    expect(await how(httpControl({ url: dying, credential: 'x' }).call('auth.me'))).toBe('lost')
    const halfway = await serve((request, response) => {
      response.writeHead(200, { ...json, 'Content-Length': '99' })
      response.write('{"a":', () => request.socket.destroy())
    })
    expect(await how(httpControl({ url: halfway, credential: 'x' }).call('auth.me'))).toBe('lost')
  })

  test('a long answer is handed on as it comes, and not what is said instead of one', async () => {
    const url = await serve((request, response) => {
      if (request.headers.authorization !== 'Bearer good')
        response.writeHead(404, problemJson).end(JSON.stringify(problem))
      else response.writeHead(200, { 'Content-Type': 'text/csv' }).end('a,b\n')
    })
    const pieces: string[] = []
    const take = async (piece: string) => void pieces.push(piece)
    expect(await httpControl({ url, credential: 'good' }).call('audit.export', { take })).toEqual({
      status: 200,
      body: undefined,
    })
    expect(await failure(httpControl({ url, credential: 'bad' }).call('audit.export', { take }))).toBeInstanceOf(
      ControlRefusal,
    )
    expect(pieces).toEqual(['a,b\n'])
  })
})

describe('the control plane behind a socket', () => {
  test.skipIf(process.platform !== 'linux')(
    'a path that is too long for a socket is reached all the same',
    async () => {
      const folder = join(temporaryFolder(), 'a'.repeat(120))
      mkdirSync(folder)
      const path = join(folder, 'control.sock')
      const server = createServer((request, response) =>
        response.writeHead(200, json).end(JSON.stringify(request.headers)),
      )
      servers.push(server)
      process.chdir(folder)
      server.listen('control.sock')
      await once(server, 'listening')
      process.chdir('/')
      expect(await listens(path)).toBe(true)
      const { body } = await httpControl({ socket: path }).call('auth.me')
      expect(body).toEqual(expect.objectContaining({ host: 'localhost' }))
      expect(body).not.toHaveProperty('authorization')
    },
  )
})

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = ''
  for await (const piece of stream) all += piece.toString()
  return all
}

function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
}

async function how(promise: Promise<unknown>): Promise<string | undefined> {
  const thrown = await failure(promise)
  return thrown instanceof ControlUnreachable ? thrown.how : undefined
}
