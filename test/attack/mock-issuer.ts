import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  keySetOf,
  type Pair,
  pairOf,
  proofOf,
  signed,
  thumbprintOf,
} from '../../packages/merlon/src/identity/token.fixture.ts'
import type { JsonObject } from '../../packages/merlon/src/identity/token-format.ts'

/** With what a server asks it about opaque tokens, as its client `merlon`. */
export const introspectionSecret = 'canary-Zk3pQ8vT5wXy'

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** An issuer of tokens on a loopback address, with its metadata and its key set, that counts who asks. */
export class MockIssuer {
  readonly url: string
  readonly pair: Pair
  readonly rsa: Pair
  /** Whose key no key set has. */
  readonly stranger = pairOf('issuer-1')
  /** A key of a client, to bind tokens to. */
  readonly client = pairOf('client')
  /** The paths that were asked for. */
  readonly asked: string[] = []
  /** Opaque tokens, and what is said of them, or how that is answered. Others are not active. */
  readonly opaque = new Map<string, JsonObject | RequestListener>()
  /** The opaque tokens that were asked about. */
  readonly askedAbout: string[] = []
  readonly #server: Server

  private constructor(server: Server, pair: Pair, rsa: Pair) {
    this.#server = server
    this.pair = pair
    this.rsa = rsa
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async open(): Promise<MockIssuer> {
    const server = createServer()
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    server.unref()
    const issuer = new MockIssuer(server, pairOf('issuer-1'), pairOf('issuer-rsa', 'RS256'))
    server.on('request', async (request, response) => {
      issuer.asked.push(request.url ?? '')
      if (request.method === 'POST' && request.url === '/introspect') {
        const answer = issuer.#introspect(request.headers.authorization, await bodyOf(request))
        if (typeof answer === 'function') return answer(request, response)
        response.writeHead(answer === undefined ? 401 : 200, { 'Content-Type': 'application/json' })
        return response.end(JSON.stringify(answer ?? {}))
      }
      const document = issuer.#documents().get(request.url ?? '')
      response.writeHead(document === undefined ? 404 : 200, { 'Content-Type': 'application/json' })
      return response.end(document)
    })
    return issuer
  }

  /** A token that is good at this address unless told otherwise. */
  token(audience: string, claims: JsonObject = {}, header: JsonObject = {}, by: Pair = this.pair): string {
    return signed(by, { alg: by.alg, typ: 'at+jwt', kid: by.kid, ...header }, this.claims(audience, claims))
  }

  claims(audience: string, more: JsonObject = {}): JsonObject {
    const now = Math.floor(Date.now() / 1_000)
    const about = { iss: this.url, aud: audience, sub: 'ann', org: 'Tenant A', iat: now, exp: now + 300 }
    return { ...about, role: 'Staff', scope: 'read write', ...more }
  }

  /** What is said of an opaque token that is good at this address. */
  active(audience: string, more: JsonObject = {}): JsonObject {
    return { active: true, client_id: 'agent', token_type: 'Bearer', ...this.claims(audience, more) }
  }

  get thumbprint(): string {
    return thumbprintOf(this.client)
  }

  proof(token: string, claims: JsonObject): string {
    return proofOf(this.client, token, { iat: Math.floor(Date.now() / 1_000), ...claims })
  }

  close(): Promise<void> {
    return new Promise((closed) => this.#server.close(() => closed()))
  }

  /** `undefined` for who is not the client that may ask. */
  #introspect(authorization: string | undefined, body: string): JsonObject | RequestListener | undefined {
    const expected = Buffer.from(`merlon:${introspectionSecret}`).toString('base64')
    if (authorization !== `Basic ${expected}`) return undefined
    const token = new URLSearchParams(body).get('token') ?? ''
    this.askedAbout.push(token)
    return this.opaque.get(token) ?? { active: false }
  }

  #documents(): ReadonlyMap<string, string | Buffer> {
    return new Map<string, string | Buffer>([
      ['/.well-known/openid-configuration', JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` })],
      ['/keys', keySetOf(this.pair, this.rsa)],
    ])
  }
}
