import type { Exchange } from './exchange.ts'
import { header, isAnswer, json, listTools, type Probe, status, wants } from './probe.ts'

/** A key of the right form that nobody was given: its digits are zeros, so that no checksum fits. */
const wrongKey = `mrl_${'0'.repeat(12)}_${'0'.repeat(49)}`

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

const token = (head: object, claims: object, signature = 'AAAA'): string =>
  `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(claims))}.${signature}`

const claims = { iss: 'https://issuer.invalid', sub: 'probe', exp: 4_102_444_800, scope: 'read write admin' }

const unsigned = (alg: string, { href }: URL): string => token({ alg, typ: 'at+jwt' }, { ...claims, aud: href }, '')

/** All of an answer that tells how a credential was taken. */
const said = (found: Exchange): string =>
  isAnswer(found) ? `${found.status} ${header(found, 'www-authenticate')} ${found.body}` : found

const withCredential = (headers: readonly (readonly [string, string])[]) => ({
  headers: [...json, ...headers],
  body: listTools,
})

/** Without a credential, or with one that is not good, nobody gets in. */
export const accessProbes: readonly Probe[] = [
  {
    id: 'LP-001',
    title: 'A call without a credential is refused.',
    severity: 'fatal',
    why: 'Whoever reaches the port could use every tool.',
    fix: 'Put authentication before the endpoint.',
    source: ['MCP authorization', 'OWASP MCP07', 'ASVS 5.0 V8.2.1'],
    run: async (outside) => status(await outside.bare(), [401]),
  },
  {
    id: 'LP-002',
    title: 'The refusal says how to be let in.',
    severity: 'medium',
    why: 'A client finds the metadata, and from there the way to a credential, in WWW-Authenticate.',
    fix: 'Answer 401 with WWW-Authenticate: Bearer resource_metadata="…".',
    source: ['MCP authorization', 'RFC 6750', 'RFC 9728'],
    async run(outside) {
      const found = await outside.bare()
      const challenge = header(found, 'www-authenticate') ?? 'no challenge'
      const ok = /^Bearer\b.*\bresource_metadata="https?:\/\/[^"]+"/.test(challenge)
      return wants('a Bearer challenge with resource_metadata', found, challenge, ok)
    },
  },
  {
    id: 'LP-003',
    title: 'A stream cannot be opened without a credential.',
    severity: 'fatal',
    why: 'What is sent to a client on its stream would be read by somebody else.',
    fix: 'Ask every GET for its credential, or refuse it.',
    source: ['MCP authorization', 'OWASP MCP07'],
    run: async (outside) =>
      status(await outside.send({ verb: 'GET', headers: [['Accept', 'text/event-stream']] }), [401, 405]),
  },
  {
    id: 'LP-004',
    title: 'A session cannot be ended without a credential.',
    severity: 'high',
    why: 'Whoever guesses or sees an id could end the work of others.',
    fix: 'Ask every DELETE for its credential, or refuse it.',
    source: ['MCP authorization', 'ASVS 5.0 V8.3.1'],
    run: async (outside) =>
      status(
        await outside.send({ verb: 'DELETE', headers: [['Mcp-Session-Id', 'probe-that-names-no-session']] }),
        [401, 405],
      ),
  },
  {
    id: 'LP-005',
    title: 'A wrong key is refused.',
    severity: 'fatal',
    why: 'A check that takes anything of the right form is none.',
    fix: 'Compare the whole key with what is stored.',
    source: ['OWASP MCP07', 'ASVS 5.0 V8.2.1'],
    async run(outside) {
      const bearer = status(await outside.shows(wrongKey), [401])
      if (!bearer.ok) return bearer
      return status(await outside.send(withCredential([['X-API-Key', wrongKey]])), [401])
    },
  },
  {
    id: 'LP-006',
    title: 'Names that every object has are no keys.',
    severity: 'fatal',
    why: 'A look-up in a plain object finds `constructor` and lets it in.',
    fix: 'Look keys up in a Map.',
    source: ['ASVS 5.0 V15.3.6'],
    run: async (outside) => status(await outside.send(withCredential([['X-API-Key', 'constructor']])), [401]),
  },
  {
    id: 'LP-007',
    title: 'Every bad credential gets the same answer.',
    severity: 'medium',
    why: 'A difference tells which keys there are.',
    fix: 'Answer unknown, expired, revoked and malformed credentials with one body.',
    source: ['ASVS 5.0 V16.5.1'],
    async run(outside) {
      const bodies = new Set<string>()
      for (const credential of [wrongKey, 'not-a-key', unsigned('none', outside.url)]) {
        const found = await outside.shows(credential)
        if (!isAnswer(found)) return status(found, [401])
        if (found.status !== 429) bodies.add(`${found.status} ${found.body}`)
      }
      const ok = bodies.size <= 1
      return { expected: 'one answer', got: ok ? 'one answer' : `${bodies.size} answers`, ok }
    },
  },
  {
    id: 'LP-008',
    title: 'A credential in the address counts for nothing.',
    severity: 'high',
    why: 'Addresses are written into logs, histories and referrers.',
    fix: 'Take credentials from headers alone.',
    source: ['MCP authorization', 'ASVS 5.0 V14.2.1'],
    async run(outside) {
      // A good key is never sent so: a log may keep the address. That a wrong one is read shows by another answer.
      const answers = new Set([
        said(await outside.bare()),
        said(await outside.send({ headers: json, body: listTools })),
      ])
      for (const name of ['access_token', 'api_key', 'key']) {
        const target = `${outside.url.pathname}?${name}=${wrongKey}`
        const found = await outside.send({ target, headers: json, body: listTools })
        const outcome = status(found, [400, 401, 404])
        if (!outcome.ok) return { ...outcome, got: `${outcome.got} for ${name}` }
        const is401 = isAnswer(found) && found.status === 401
        if (is401 && answers.size === 1 && !answers.has(said(found))) {
          return { expected: 'the answer to no credential', got: `another for ${name}, so it is read`, ok: false }
        }
      }
      return { expected: 'the answer to no credential', got: 'refused', ok: true }
    },
  },
  {
    id: 'LP-009',
    title: 'Two credentials in one request are refused.',
    severity: 'medium',
    why: 'One part checks the first and another uses the second.',
    fix: 'Answer 400 where Authorization and X-API-Key come together.',
    source: ['RFC 6750', 'ASVS 5.0 V15.3.7'],
    run: async (outside) =>
      status(
        await outside.send(
          withCredential([
            ['Authorization', `Bearer ${wrongKey}`],
            ['X-API-Key', wrongKey],
          ]),
        ),
        [400],
      ),
  },
  {
    id: 'LP-010',
    title: 'A token without a signature is refused.',
    severity: 'fatal',
    why: '`alg: none` lets everybody write tokens.',
    fix: 'Take the algorithms of each issuer by name, and never none.',
    source: ['RFC 8725', 'ASVS 5.0 V9.1.2'],
    async run(outside) {
      for (const alg of ['none', 'nOnE']) {
        const outcome = status(await outside.shows(unsigned(alg, outside.url)), [401])
        if (!outcome.ok) return { ...outcome, got: `${outcome.got} for alg ${alg}` }
      }
      return { expected: '401', got: 'refused', ok: true }
    },
  },
  {
    id: 'LP-011',
    title: 'A token for another audience is refused.',
    severity: 'fatal',
    why: 'A token that was given to another service would work here, and that service could use it.',
    fix: 'Compare aud with the address of this endpoint.',
    source: ['MCP authorization', 'ASVS 5.0 V9.2.3', 'ASVS 5.0 V10.3.1'],
    async run(outside) {
      const foreign = token(
        { alg: 'ES256', typ: 'at+jwt', kid: 'probe' },
        { ...claims, aud: 'https://other.invalid/mcp' },
      )
      return status(await outside.shows(foreign), [401])
    },
  },
  {
    id: 'LP-012',
    title: 'A key that is good gets in, and is not sent back.',
    severity: 'high',
    why: 'An answer that repeats the credential puts it into logs and caches.',
    fix: 'Never write what was shown as a credential into an answer.',
    source: ['ASVS 5.0 V16.2.5', 'OWASP MCP01'],
    async run(outside) {
      if (outside.key === undefined) return undefined
      const found = await outside.shows(outside.key)
      if (!isAnswer(found)) return status(found, [200, 400])
      const all = `${[...found.headers.values()].flat().join('\n')}\n${found.body}`
      const repeated = all.includes(outside.key)
      const got = repeated ? 'the key in the answer' : String(found.status)
      return { expected: 'an answer without the key', got, ok: !repeated && found.status !== 401 }
    },
  },
]
