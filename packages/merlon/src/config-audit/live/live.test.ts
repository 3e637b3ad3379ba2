import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createSocketServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { exchange, request } from './exchange.ts'
import { type LiveResult, probe } from './live.ts'
import { probes } from './probes.ts'

const open: Server[] = []
afterEach(async () => {
  await Promise.all(
    open.splice(0).map((server) => {
      if ('closeAllConnections' in server) (server as { closeAllConnections(): void }).closeAllConnections()
      return new Promise((closed) => server.close(closed))
    }),
  )
})

async function listen(server: Server): Promise<number> {
  open.push(server)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return (server.address() as AddressInfo).port
}

const serve = (listener: RequestListener) => listen(createServer({ insecureHTTPParser: true }, listener))

async function ask(port: number, key?: string): Promise<LiveResult> {
  const url = new URL(`http://127.0.0.1:${port}/mcp`)
  const result = await probe({ url, key, clock: Date.now, timeoutMs: 2_000 })
  if (typeof result === 'string') throw new Error(result)
  return result
}

const ids = ({ findings }: LiveResult): readonly string[] => findings.map(({ rule }) => rule.id).sort()

/** Takes everything from everybody, and tells all it knows. */
const careless: RequestListener = (incoming, response) => {
  incoming.resume()
  incoming.on('end', () => {
    response.setHeader('Access-Control-Allow-Origin', incoming.headers.origin ?? '*')
    response.setHeader('X-Powered-By', 'Express')
    response.setHeader('Date', 'Thu, 01 Jan 1970 00:00:00 GMT')
    const { host } = incoming.headers
    const forwarded = incoming.headers['x-forwarded-host']
    const { authorization = '' } = incoming.headers
    const body = incoming.url?.startsWith('/.well-known/')
      ? { resource: `http://${String(forwarded ?? host)}/elsewhere` }
      : incoming.url === '/health'
        ? { status: 'ok', version: '1.0.0', memory: process.memoryUsage() }
        : { jsonrpc: '2.0', id: 1, result: { tools: [], seen: authorization, at: 'at run (/src/server.ts:12)' } }
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(body))
  })
}

describe('a server that takes everything', () => {
  test('SC-02: nearly every probe finds what is wrong, the gravest first', async () => {
    const result = await ask(await serve(careless), 'a-key-of-theirs')
    const found = ids(result)
    expect(found).toEqual(
      [
        ...[
          'LP-001',
          'LP-002',
          'LP-003',
          'LP-004',
          'LP-005',
          'LP-006',
          'LP-007',
          'LP-008',
          'LP-009',
          'LP-010',
          'LP-011',
        ],
        ...[
          'LP-012',
          'LP-101',
          'LP-102',
          'LP-103',
          'LP-104',
          'LP-105',
          'LP-106',
          'LP-107',
          'LP-108',
          'LP-109',
          'LP-110',
        ],
        ...['LP-201', 'LP-202', 'LP-203', 'LP-204', 'LP-205', 'LP-206', 'LP-207', 'LP-208'],
        ...['LP-301', 'LP-302', 'LP-303', 'LP-305', 'LP-306', 'LP-307', 'LP-308', 'LP-309', 'LP-310', 'LP-311'],
        ...['LP-312', 'LP-313'],
      ].sort(),
    )
    expect(result.findings[0]?.rule.severity).toBe('fatal')
  })

  test('AD-11: what a server sends back of the key is not repeated', async () => {
    const result = await ask(await serve(careless), 'a-key-of-theirs')
    expect(JSON.stringify(result.findings)).not.toContain('a-key-of-theirs')
  })

  test('what a server says is printed on one line, and never beyond what can be read', async () => {
    const port = await serve((_, response) => {
      response.writeHead(401, {
        'WWW-Authenticate': `Basic realm="\u001b[31m${'a'.repeat(1_000)}"`.replace('\u001b', ''),
      })
      response.end('\u001b[2J')
    })
    for (const { says } of (await ask(port)).findings) expect(says).toMatch(/^[\x20-\x7e…]{1,300}$/)
  })
})

describe('a server that refuses everything', () => {
  const refuse: RequestListener = (incoming, response) => {
    incoming.resume()
    response.writeHead(401, {
      'WWW-Authenticate': `Bearer resource_metadata="http://127.0.0.1/.well-known/oauth-protected-resource/mcp"`,
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
      Connection: 'close',
    })
    response.end('{}')
  }

  test('is only told what it should say otherwise', async () => {
    const found = ids(await ask(await serve(refuse)))
    // It does not know a host or a page from another, nor one credential from two, and has no metadata.
    expect(found).toEqual([
      ...['LP-009', 'LP-101', 'LP-102', 'LP-103', 'LP-105', 'LP-106', 'LP-107', 'LP-108', 'LP-109', 'LP-207', 'LP-305'],
    ])
  })

  test('a credential that it reads from the address shows, although it is refused, and a good one is never sent so', async () => {
    const asked: string[] = []
    const port = await serve((incoming, response) => {
      asked.push(incoming.url ?? '')
      incoming.resume()
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer' })
      response.end(incoming.url?.includes('api_key=') ? '{"error":"invalid"}' : '{"error":"missing"}')
    })
    const { findings } = await ask(port, 'a-key-of-theirs')
    expect(findings.find(({ rule }) => rule.id === 'LP-008')?.says).toBe(
      'expected the answer to no credential, got another for api_key, so it is read',
    )
    expect(asked.filter((url) => url.includes('a-key-of-theirs'))).toEqual([])
  })

  test('a probe that needs a key, or TLS, is passed over without it', async () => {
    const { asked } = await ask(await serve(refuse))
    const tried = new Set(asked.map((each) => each.probe.id))
    expect(probes.map(({ id }) => id).filter((id) => !tried.has(id))).toEqual([
      ...['LP-012', 'LP-112', 'LP-113', 'LP-114', 'LP-115', 'LP-304', 'LP-307', 'LP-312'],
    ])
  })
})

describe('a server that does not behave', () => {
  test('one that never answers ends each probe in its time', async () => {
    const port = await listen(createSocketServer((socket) => void socket.on('error', () => undefined).resume()))
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    const answer = await exchange({ url, host: url.host, timeoutMs: 50 }, 'GET / HTTP/1.1\r\n\r\n')
    expect(answer).toBe('timeout')
  })

  test('one that speaks without end is cut off', async () => {
    const port = await listen(
      createSocketServer((socket) => {
        socket.on('error', () => undefined)
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        const more = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(16_384, 0x61)));
        }
        socket.on('drain', more)
        more()
      }),
    )
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    const answer = await exchange({ url, host: url.host, timeoutMs: 5_000 }, 'GET / HTTP/1.1\r\n\r\n')
    expect(answer).toMatchObject({ status: 200 })
  })

  test('one that is not there is told as such', async () => {
    const port = await listen(createSocketServer())
    const [server] = open.splice(0)
    await new Promise((closed) => server!.close(closed))
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    expect(await probe({ url, clock: Date.now })).toBe('nobody')
  })

  test('one that has no endpoint there is not judged by what it says of it', async () => {
    const port = await serve((_, response) => response.writeHead(404).end())
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    expect(await probe({ url, clock: Date.now })).toBe('no endpoint')
  })

  test('one that speaks another protocol has no answer to look at', async () => {
    const port = await listen(
      createSocketServer(
        (socket) =>
          void socket
            .on('error', () => undefined)
            .resume()
            .end('SSH-2.0-x\r\n'),
      ),
    )
    const url = new URL(`http://127.0.0.1:${port}/mcp`)
    expect(await exchange({ url, host: url.host, timeoutMs: 5_000 }, 'GET / HTTP/1.1\r\n\r\n')).toBe('closed')
  })
})

describe('the bytes of a request', () => {
  const url = new URL('http://mcp.example:4000/mcp')
  const target = { url, host: url.host, timeoutMs: 1 }

  test('have one Host and a length', () => {
    expect(request(target, { headers: [['Accept', '*/*']], body: 'é' }).toString('utf8')).toBe(
      'POST /mcp HTTP/1.1\r\nHost: mcp.example:4000\r\nAccept: */*\r\nContent-Length: 2\r\nConnection: close\r\n\r\né',
    )
  })

  test('keep the Host lines that were given', () => {
    const bytes = request(target, {
      verb: 'GET',
      headers: [
        ['host', 'a'],
        ['Host', 'b'],
      ],
    }).toString('utf8')
    expect(bytes).toBe('GET /mcp HTTP/1.1\r\nhost: a\r\nHost: b\r\nConnection: close\r\n\r\n')
  })
})
