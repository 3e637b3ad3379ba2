import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { problemWith, questionFor } from './health.ts'
import { run } from './program.ts'
import { silentContext } from './silent-context.fixture.ts'

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function serving(answer: RequestListener): Promise<number> {
  const server = createHttpServer(answer)
  onTestFinished(() => server.closeAllConnections())
  return listening(server)
}

async function health(config: object, ...words: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), 'merlon-health-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  writeFileSync(join(cwd, 'merlon.config.json'), JSON.stringify(config))
  const out: string[] = []
  const said: string[] = []
  const context = { cwd, out: (text: string) => void out.push(text), say: (text: string) => void said.push(text) }
  const code = await run(['health', ...words], silentContext(context))
  return { code, out: out.join('\n'), said: said.join('\n') }
}

describe('the health of a server', () => {
  test('is asked at the path and under the name that the settings say', async () => {
    const asked: { url: string | undefined; host: IncomingHttpHeaders['host'] }[] = []
    const port = await serving(({ url, headers }, response) => {
      asked.push({ url, host: headers.host })
      response.end('{}')
    })
    expect(await health({ server: { port }, health: { path: '/healthz' } })).toEqual({ code: 0, out: 'ok', said: '' })
    const named = { port, host: '0.0.0.0', allowedHosts: ['mcp.example'], trustedProxies: ['10.0.0.0/24'] }
    expect(await health({ server: named }, '--ready')).toEqual({ code: 0, out: 'ready', said: '' })
    expect(asked).toEqual([
      { url: '/healthz', host: `127.0.0.1:${port}` },
      { url: '/ready', host: 'mcp.example' },
    ])
  })

  test.each([
    [503, {}, 'is there, and not ready'],
    [404, {}, 'answers /health with 404'],
    [401, {}, 'answers /health with 401'],
    [302, {}, 'answers /health with 302'],
  ])('an answer of %i is no sign of it', async (status, more, says) => {
    const port = await serving((_, response) => response.writeHead(status, { Location: '/' }).end())
    const { code, out, said } = await health({ server: { port }, ...more })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(said).toBe(`merlon: 127.0.0.1:${port} ${says}`)
  })

  test('a path that asks for a credential has been asked by nobody, and lives; readiness asks for none', async () => {
    const port = await serving((_, response) => response.writeHead(401).end())
    const config = { server: { port }, health: { authentication: true } }
    expect((await health(config)).code).toBe(0)
    expect((await health(config, '--ready')).code).toBe(1)
  })

  test('a server that takes the connection and says nothing is given its time, and no more', async () => {
    const port = await listening(createServer((socket) => void socket.on('error', () => undefined)))
    const question = questionFor(configSchema.parse({ server: { port } }), false)
    expect(await problemWith(question, 50)).toBe(`127.0.0.1:${port} does not answer within 50 ms`)
  })

  test('where nothing listens it says so, and where it is to wait it asks until something does', async () => {
    let asked = 0
    const port = await serving((_, response) => response.writeHead(++asked < 3 ? 503 : 200).end())
    expect((await health({ server: { port } }, '--ready', '--wait', '60')).out).toBe('ready')
    expect(asked).toBe(3)
    const gone = createServer()
    const nobody = await listening(gone)
    await new Promise((closed) => gone.close(closed))
    expect(await health({ server: { port: nobody } })).toEqual({
      code: 1,
      out: '',
      said: `merlon: nothing answers at 127.0.0.1:${nobody} (ECONNREFUSED)`,
    })
  })

  test.each([
    [{ server: { port: 0 } }, [], 1, 'whatever port is free'],
    [{ health: { enabled: false } }, [], 1, 'is switched off'],
    [{}, ['--wait', 'long'], 2, 'whole seconds'],
    [{}, ['--wait', '601'], 2, 'up to 600'],
  ])('what cannot be asked is told: %j %j', async (config, words, code, says) => {
    const refused = await health(config, ...words)
    expect(refused.code).toBe(code)
    expect(refused.said).toContain(says)
  })

  test('an address of every interface is asked on loopback, and over TLS where the server speaks it', () => {
    const asked = (config: object) => questionFor(configSchema.parse(config), false)
    const tls = { certificatePath: 'chain.pem', keyPath: 'key.pem' }
    expect(asked({ server: { host: '0.0.0.0' } })).toMatchObject({
      address: '127.0.0.1',
      host: '0.0.0.0:4000',
      tls: false,
    })
    expect(asked({ server: { host: '::' }, tls })).toMatchObject({ address: '::1', host: '[::]:4000', tls: true })
    expect(asked({ server: { host: '0.0.0.0' }, tls: { ...tls, port: 8443, host: '10.0.0.5' } })).toMatchObject({
      ...{ tls: true, address: '10.0.0.5', port: 8443, host: '10.0.0.5:8443' },
    })
    const mutual = { ...tls, clientCertificate: 'required', clientCaPath: 'ca.pem' }
    expect(asked({ tls: { ...mutual, port: 8443 } })).toMatchObject({ tls: false, port: 4000, host: '127.0.0.1:4000' })
    expect(() => asked({ tls: mutual })).toThrow('this command has none')
    expect(asked({ server: { host: '10.0.0.5' } })).toMatchObject({ address: '10.0.0.5', host: '10.0.0.5:4000' })
  })
})
