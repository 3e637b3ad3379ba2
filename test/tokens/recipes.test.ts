import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../packages/merlon/src/config/load.ts'
import { ProofReplays } from '../../packages/merlon/src/identity/dpop.ts'
import { foreignIssuer } from '../../packages/merlon/src/identity/foreign-issuer.ts'
import { Asked, activeWith } from '../../packages/merlon/src/identity/introspection.fixture.ts'
import { OpaqueVerifier } from '../../packages/merlon/src/identity/opaque-verifier.ts'
import {
  keySetOf,
  now,
  Published,
  pairOf,
  parse,
  seconds,
  shownWith,
  signed,
} from '../../packages/merlon/src/identity/token.fixture.ts'
import type { JsonObject } from '../../packages/merlon/src/identity/token-format.ts'
import { TokenVerifier } from '../../packages/merlon/src/identity/token-verifier.ts'
import { scopeSet } from '../../packages/merlon/src/policy/scopes.ts'
import { codeBlocks, documents } from '../documents/documents.ts'

/** Tokens as the makers of issuers document them: the access token, and what it must not be mistaken for. */
interface Issued {
  readonly keys: string
  readonly header: JsonObject
  readonly claims: JsonObject
  readonly principal: { readonly tenant: string; readonly role: string; readonly scopes: readonly string[] }
  readonly idToken: { readonly header?: JsonObject; readonly claims: JsonObject; readonly reason: string }
}

const times = { iat: seconds, exp: seconds + 3_600 }
const address = 'https://mcp.example/mcp'
const entra = '6c1f4c5e-3f0a-4f8e-9a39-7d3f3b1c2a10'

const makers: Readonly<Record<string, Issued>> = {
  Auth0: {
    keys: 'https://acme.eu.auth0.com/.well-known/jwks.json',
    header: { alg: 'RS256', typ: 'at+jwt', kid: 'k' },
    claims: {
      iss: 'https://acme.eu.auth0.com/',
      sub: 'auth0|63f1c6a1d6b7e2',
      aud: [address, 'https://acme.eu.auth0.com/userinfo'],
      iat: seconds,
      exp: seconds + 86_400,
      jti: 'x',
      client_id: 'c',
      scope: 'openid profile read write',
      org_id: 'org_9ybsU1dN2dKfDkBi',
      permissions: ['read', 'write'],
      'https://mcp.example/roles': ['mcp-user'],
    },
    principal: { tenant: 'acme', role: 'user', scopes: ['read', 'write'] },
    idToken: { header: { typ: 'JWT' }, claims: { aud: 'c', nonce: 'n' }, reason: 'token-type' },
  },
  Okta: {
    keys: 'https://acme.okta.com/oauth2/default/v1/keys',
    header: { alg: 'RS256', kid: 'k' },
    claims: {
      iss: 'https://acme.okta.com/oauth2/default',
      ver: 1,
      jti: 'AT.x',
      aud: address,
      ...times,
      cid: 'c',
      uid: 'u',
      scp: ['openid', 'read'],
      sub: 'ann@example.com',
      groups: ['Everyone', 'mcp-admins'],
    },
    principal: { tenant: 'acme', role: 'admin', scopes: ['read'] },
    idToken: { claims: { aud: 'c', scp: undefined }, reason: 'token-audience' },
  },
  'Entra ID': {
    keys: `https://login.microsoftonline.com/${entra}/discovery/v2.0/keys`,
    header: { alg: 'RS256', typ: 'JWT', kid: 'k', x5t: 'k' },
    claims: {
      iss: `https://login.microsoftonline.com/${entra}/v2.0`,
      aud: '0b9c8a7e-5d41-4c36-8a2b-1f6e5d4c3b2a',
      ...times,
      nbf: seconds,
      azp: 'c',
      oid: 'o',
      roles: ['Mcp.User'],
      scp: 'Mcp.Read Mcp.Write',
      sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
      tid: entra,
      ver: '2.0',
    },
    principal: { tenant: 'acme', role: 'user', scopes: ['read', 'write'] },
    idToken: { claims: { aud: 'c', scp: undefined }, reason: 'token-audience' },
  },
  Keycloak: {
    keys: 'https://sso.example/realms/acme/protocol/openid-connect/certs',
    header: { alg: 'RS256', typ: 'JWT', kid: 'k' },
    claims: {
      iss: 'https://sso.example/realms/acme',
      aud: [address, 'account'],
      ...times,
      jti: 'x',
      sub: 'f1a6c1f4-5e3f-4a4f-8e9a-397d3f3b1c2a',
      typ: 'Bearer',
      azp: 'c',
      realm_access: { roles: ['offline_access', 'mcp-admin'] },
      scope: 'openid read write admin',
    },
    principal: { tenant: 'acme', role: 'admin', scopes: ['admin', 'read', 'write'] },
    idToken: { claims: { typ: 'ID', aud: [address] }, reason: 'token-required-claim' },
  },
}

const guide = documents.find(({ path }) => path === 'docs/guide/identity.md')?.text ?? ''
const recipes = new Map(
  guide
    .split(/^### /m)
    .slice(1)
    .map((part) => [
      part.slice(0, part.indexOf('\n')),
      codeBlocks(part).find(({ language }) => language === 'json')?.code,
    ]),
)
const rsa = pairOf('k', 'RS256')
let project = ''
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-recipes-'))
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

test('RS-12: what the guide says of tokens that are not signed loads, and takes what their issuer says of them', async () => {
  const section = guide.split(/^## /m).find((part) => part.startsWith('Ask the issuer about tokens')) ?? ''
  writeFileSync(
    join(project, 'merlon.config.json'),
    codeBlocks(section).find(({ language }) => language === 'json')?.code ?? '',
  )
  const { config, warnings, secrets } = loadConfig({ project, env: { INTROSPECTION_SECRET: 'canary-of-the-client' } })
  expect(warnings).toEqual([])
  expect(secrets.introspectionSecret).toBe('canary-of-the-client')
  const [settings] = config.identity.issuers
  if (settings === undefined) return expect.unreachable('no issuer')
  const asked = new Asked()
  const about = { iss: settings.issuer, aud: [address], groups: ['all', 'mcp-users'], scope: 'openid read' }
  asked.answers.set('opaque-token-of-ann-1', activeWith(about))
  const parts = {
    ...{ door: 'mcp' as const, origin: () => 'https://mcp.example', parse, replays: new ProofReplays() },
    ...{ clock: () => now, steadyClock: () => now },
  }
  const issuer = foreignIssuer(settings, {
    ...parts,
    resource: () => expect.unreachable('the audience is given'),
    roles: new Map(Object.entries(config.roles).map(([role, scopes]) => [role, scopeSet(scopes)])),
    scopes: scopeSet(['read', 'write', 'admin']),
    tenants: { tenantAt: () => ({ scopes: undefined }) },
    subjects: { isBlocked: () => false },
    report: (cause) => expect.unreachable(String(cause)),
    introspection: asked.introspection,
  })
  const verifier = new OpaqueVerifier({ ...parts, issuer, opaque: issuer.opaque ?? expect.unreachable('not asked') })
  expect(await verifier.verify('opaque-token-of-ann-1', 'bearer', shownWith())).toMatchObject({
    ok: true,
    principal: { id: 'https://id.example/acme#ann', tenant: 'acme', role: 'user', effective: new Set(['read']) },
  })
  expect(await verifier.verify('opaque-token-of-eve-1', 'bearer', shownWith())).toMatchObject({ ok: false })
})

test('the guide has a recipe for each of them', () => {
  expect([...recipes.keys()]).toEqual(Object.keys(makers))
})

describe.each(Object.entries(makers))('the recipe for %s', (name, issued) => {
  function verifier() {
    writeFileSync(join(project, 'merlon.config.json'), recipes.get(name) ?? '')
    const { config, warnings } = loadConfig({ project, env: {} })
    expect(warnings).toEqual([])
    const [settings] = config.identity.issuers
    if (settings === undefined) return expect.unreachable('no issuer')
    const published = new Published()
    const metadata = { issuer: settings.issuer, jwks_uri: issued.keys }
    const place = `${settings.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    published.documents.set(place, Buffer.from(JSON.stringify(metadata)))
    published.documents.set(issued.keys, keySetOf(rsa))
    const issuer = foreignIssuer(settings, {
      resource: () => address,
      roles: new Map(Object.entries(config.roles).map(([role, scopes]) => [role, scopeSet(scopes)])),
      scopes: scopeSet(['read', 'write', 'admin']),
      tenants: { tenantAt: () => ({ scopes: undefined }) },
      subjects: { isBlocked: () => false },
      parse,
      clock: () => now,
      report: (cause) => expect.unreachable(String(cause)),
      fetch: published.fetch,
    })
    return new TokenVerifier({
      door: 'mcp',
      origin: () => 'https://mcp.example',
      issuers: () => [issuer],
      leavesMalformed: false,
      parse,
      replays: new ProofReplays(),
      clock: () => now,
    })
  }
  const show = async (header: JsonObject, claims: JsonObject) =>
    verifier().verify(signed(rsa, header, claims), 'bearer', shownWith())

  test('RS-07: takes its access token, as that subject, in that tenant and role', async () => {
    const { tenant, role, scopes } = issued.principal
    expect(await show(issued.header, issued.claims)).toMatchObject({
      ok: true,
      principal: {
        id: `${issued.claims['iss']}#${issued.claims['sub']}`,
        tenant,
        role,
        effective: new Set(scopes),
      },
    })
  })

  test('RS-04: refuses its ID token', async () => {
    const { header, claims, reason } = issued.idToken
    expect(await show({ ...issued.header, ...header }, { ...issued.claims, ...claims })).toMatchObject({
      ok: false,
      reason,
    })
  })

  test('RS-02: refuses a token for another audience', async () => {
    expect(await show(issued.header, { ...issued.claims, aud: 'https://other.example' })).toMatchObject({
      reason: 'token-audience',
    })
  })
})
