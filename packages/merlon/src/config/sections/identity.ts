import { isIP } from 'node:net'
import * as z from 'zod'
import { ms, scope, secretReference } from '../values.ts'

/*
 * Whose tokens are taken, and how they are read. What is left out denies: a token of an issuer that is not listed, of another
 * audience, of a type that is not named, without a tenant, opens nothing.
 */

/** An address of an issuer: https, or http on a loopback address, which needs `dangerouslyAllowHttp`. */
const address = z
  .string()
  .max(512)
  .refine(isAddress, 'an https address such as https://id.example/tenant, without a user, a query or a fragment')

const claim = z
  .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).min(1).max(8)])
  .describe('The name of a claim, or the names that lead to one within: ["realm_access", "roles"].')

const issuer = z.strictObject({
  issuer: address.describe('What iss must be, to the letter.'),
  audience: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('What aud must name at the MCP endpoint. Default: the address of the endpoint.'),
  controlAudience: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('What aud must name at the control plane. Default: tokens of this issuer do not open it.'),
  algorithms: z
    .array(z.enum(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA']))
    .default(['ES256', 'RS256', 'PS256', 'EdDSA'])
    .describe('How tokens may be signed. A shared secret is not among them.'),
  types: z
    .array(z.string().regex(/^[A-Za-z0-9.+/-]{1,64}$/, 'a type such as at+jwt'))
    .default(['at+jwt', 'application/at+jwt'])
    .describe('What typ may be in the header. Issuers that mark access tokens like any other need JWT.'),
  untyped: z.boolean().default(false).describe('Whether tokens without typ are taken.'),
  required: z
    .record(z.string().min(1).max(256), z.string().max(1_024))
    .default({})
    .describe('Claims that must have exactly this text, such as { "typ": "Bearer" }.'),
  jwksUri: address
    .optional()
    .describe('Where the key set is. Default: where the metadata of the issuer says, at the same origin.'),
  introspection: z
    .strictObject({
      url: address.describe('Where it is asked (RFC 7662).'),
      clientId: z
        .string()
        .regex(/^[\x20-\x7e]{1,256}$/, 'printable ASCII characters')
        .describe('As which of its clients we ask.'),
      clientSecret: secretReference.describe('The secret of that client: env:NAME.'),
    })
    .optional()
    .describe('Asks the issuer about tokens that are not signed. Default: such tokens are refused.'),
  tenant: z
    .union([
      z.strictObject({ value: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'the id of a tenant') }),
      z.strictObject({ claim, values: z.record(z.string(), z.string()).optional() }),
    ])
    .describe('The tenant: one for all, or the claim that tells it, with a table from its values to tenants.'),
  role: z
    .union([z.strictObject({ value: z.string() }), z.strictObject({ claim, values: z.record(z.string(), z.string()) })])
    .default({ value: 'user' })
    .describe('The role: one for all, or a claim and the roles its values stand for; the first that fits.'),
  scopes: z
    .strictObject({ claim, values: z.record(z.string(), z.array(scope)).optional() })
    .default({ claim: 'scope' })
    .describe('The claim with scopes, and the scopes its values stand for where they have other names.'),
  scopesMax: z
    .array(scope)
    .optional()
    .describe('What tokens of this issuer may do at most. Default: what their role grants.'),
  skewMs: z.int().min(0).max(60_000).default(30_000).describe('How far the clocks may differ.'),
  lifetimeMsMax: ms(1_000).default(86_400_000).describe('A token that lives longer is refused.'),
  dpop: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('Whether tokens must be bound to a key (RFC 9449). One that is bound always needs its proof.'),
  allowPrivateNetwork: z
    .boolean()
    .default(false)
    .describe('Whether the issuer may be on a private network: elsewhere an address of one is not connected to.'),
  dangerouslyAllowHttp: z
    .boolean()
    .default(false)
    .describe('Reads keys and asks about tokens without TLS, at a loopback address alone: for trying things out.'),
})

export const identity = z
  .strictObject({
    tokens: z
      .strictObject({
        lifetimeMs: ms(60_000)
          .max(3_600_000)
          .default(900_000)
          .describe('How long an access token of this server is good. It is renewed while its sign-in lasts.'),
        signingKeyDays: z
          .int()
          .min(1)
          .max(365)
          .default(30)
          .describe('How long a key signs tokens before the next takes its turn.'),
      })
      .prefault({}),
    issuers: z
      .array(issuer)
      .max(32)
      // Nothing in such a token says whose it is, and to ask them all would show it to those whose it is not.
      .refine(
        (issuers) => issuers.filter(({ introspection }) => introspection !== undefined).length <= 1,
        'a list in which one issuer at most has introspection',
      )
      .default([])
      .describe('Other issuers whose access tokens are taken.'),
  })
  .prefault({})

function isAddress(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || /[?#\s]/.test(text)) return false
  if (url.protocol === 'https:') return true
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return url.protocol === 'http:' && isIP(host) !== 0 && (host.startsWith('127.') || host === '::1')
}
