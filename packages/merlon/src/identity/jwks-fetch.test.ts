import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { documentBytesMax, documentFetcher, formPoster, isPrivateAddress } from './jwks-fetch.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  }
})

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const here = documentFetcher({ allowPrivateNetwork: true, allowHttp: true })
const json = { 'Content-Type': 'application/json' }

test('RS-06: reads a JSON document, and how long it may be kept', async () => {
  const asked: unknown[] = []
  const url = await serving(({ method, url: path, headers }, response) => {
    asked.push([method, path, headers.authorization, headers.cookie])
    response.writeHead(200, { ...json, 'Cache-Control': 'public, max-age=120, must-revalidate' }).end('{"keys":[]}')
  })
  expect(await here(`${url}/keys?a=1`)).toEqual({ bytes: Buffer.from('{"keys":[]}'), maxAgeMs: 120_000 })
  expect(asked).toEqual([['GET', '/keys?a=1', undefined, undefined]])
})

test('RS-12: posts a form, in the body and nowhere else, and reads the JSON document that is answered', async () => {
  const asked: unknown[] = []
  const url = await serving(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method, url: path, headers } = request
    const { authorization, 'content-type': type, 'content-length': length } = headers
    asked.push([method, path, authorization, type, length, Buffer.concat(chunks).toString()])
    response.writeHead(200, json).end('{"active":false}')
  })
  const form = new URLSearchParams({ token: 'a+b/c', token_type_hint: 'access_token' })
  const answer = await formPoster({ allowPrivateNetwork: true, allowHttp: true })(
    `${url}/introspect`,
    form,
    'Basic eA==',
  )
  expect(answer.bytes.toString()).toBe('{"active":false}')
  const body = 'token=a%2Bb%2Fc&token_type_hint=access_token'
  expect(asked).toEqual([
    ['POST', '/introspect', 'Basic eA==', 'application/x-www-form-urlencoded', String(body.length), body],
  ])
})

describe('RS-06: refuses', () => {
  const answers: readonly (readonly [what: string, says: RegExp, listener: RequestListener])[] = [
    ['a redirect', /answered 302/, (_, response) => response.writeHead(302, { Location: '/keys' }).end()],
    ['a failure', /answered 500/, (_, response) => response.writeHead(500, json).end('{}')],
    ['no answer to read', /answered 204/, (_, response) => response.writeHead(204).end()],
    ['a page', /other than JSON/, (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('{}')],
    ['no type', /other than JSON/, (_, response) => response.writeHead(200).end('{}')],
    [
      'an encoding',
      /in an encoding/,
      (_, response) => response.writeHead(200, { ...json, 'Content-Encoding': 'gzip' }).end('{}'),
    ],
    [
      'more than 64 KiB',
      /more than 65536 bytes/,
      (_, response) => response.writeHead(200, json).end(Buffer.alloc(documentBytesMax + 1, ' ')),
    ],
    [
      'an answer that breaks off',
      /./,
      (_, response) => response.writeHead(200, json).write('{', () => response.destroy()),
    ],
    ['a connection that breaks off', /cannot be reached/, ({ socket }) => socket.destroy()],
  ]

  test.each(answers)('%s', async (_what, says, listener) => {
    await expect(here(await serving(listener))).rejects.toThrow(says)
  })

  test.each(answers)('RS-12: to a form too: %s', async (_what, says, listener) => {
    const post = formPoster({ allowPrivateNetwork: true, allowHttp: true })
    const url = await serving(listener)
    const failure = await post(url, new URLSearchParams({ token: 'canary' }), 'Basic Y2FuYXJ5').catch((error) => error)
    expect(failure.message).toMatch(says)
    expect(inspect(failure, { depth: 8 })).not.toMatch(/canary|Y2FuYXJ5/)
  })

  test('RS-12: to post where documents may not be read', async () => {
    const [form, authorization] = [new URLSearchParams({ token: 'x' }), 'Basic eA==']
    const post = (allowPrivateNetwork: boolean, allowHttp: boolean, url: string) =>
      formPoster({ allowPrivateNetwork, allowHttp })(url, form, authorization)
    await expect(post(true, false, 'http://127.0.0.1/introspect')).rejects.toThrow('it is not https')
    await expect(post(true, true, 'http://192.0.2.1/introspect')).rejects.toThrow('it is not https')
    await expect(post(false, true, 'https://10.1.2.3/introspect')).rejects.toThrow('it is in a private network')
  })

  test('an address that is not https, unless it is a loopback address and that is allowed', async () => {
    const url = await serving((_, response) => response.writeHead(200, json).end('{}'))
    await expect(documentFetcher({ allowPrivateNetwork: true, allowHttp: false })(url)).rejects.toThrow(
      'it is not https',
    )
    await expect(here(url.replace('127.0.0.1', 'localhost'))).rejects.toThrow('it is not https')
    await expect(here('http://192.0.2.1/keys')).rejects.toThrow('it is not https')
    await expect(here('file:///etc/passwd')).rejects.toThrow('it is not https')
  })

  test('an address with a password in it, and does not repeat it', async () => {
    const failure = await here('https://user:hunter2@id.example/keys').catch((error: Error) => error.message)
    expect(failure).toBe('https://id.example: an address may not carry a password')
  })

  test('a private network, by address and by a name that leads there', async () => {
    let visits = 0
    const url = await serving((_, response) => {
      visits++
      response.writeHead(200, json).end('{}')
    })
    const outside = documentFetcher({ allowPrivateNetwork: false, allowHttp: true })
    await expect(outside(url)).rejects.toThrow('it is in a private network')
    await expect(outside('https://[::1]/keys')).rejects.toThrow('it is in a private network')
    const named = outside(`https://localhost:${new URL(url).port}/keys`)
    await expect(named).rejects.toMatchObject({ cause: { message: 'the name leads into a private network' } })
    expect(visits).toBe(0)
  })
})

test.each([
  '10.1.2.3',
  '127.0.0.1',
  '169.254.169.254',
  '172.31.255.255',
  '192.168.0.1',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '64:ff9b::a00:1',
  'fe80::1',
  'fd00::1',
  'ff02::1',
  '2001:db8::1',
  '2002:7f00:1::',
  'id.example',
  '',
])('%s is no address of the public internet', (address) => expect(isPrivateAddress(address)).toBe(true))

test.each(['8.8.8.8', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s is', (address) =>
  expect(isPrivateAddress(address)).toBe(false),
)
