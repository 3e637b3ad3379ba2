import type { Clock, Principal, ScopeSet } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import type { Introspection } from './introspection.ts'
import {
  type ClaimPath,
  type Mapping,
  mapClaims,
  type StandingParts,
  standingIn,
  type TrustedIssuer,
} from './issuer.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { documentFetcher, type FetchDocument } from './jwks-fetch.ts'
import type { HeldClaims } from './token-claims.ts'
import type { JsonObject, ParseJson } from './token-format.ts'
import type { Door } from './verdict.ts'

/** An issuer as the configuration describes it. */
export interface IssuerSettings {
  readonly issuer: string
  readonly audience?: string | undefined
  readonly controlAudience?: string | undefined
  readonly algorithms: readonly string[]
  readonly types: readonly string[]
  readonly untyped: boolean
  readonly required: Readonly<Record<string, string>>
  readonly jwksUri?: string | undefined
  readonly introspection?: { readonly url: string; readonly clientId: string } | undefined
  readonly tenant:
    | { readonly value: string }
    | { readonly claim: ClaimPath; readonly values?: Readonly<Record<string, string>> | undefined }
  readonly role:
    | { readonly value: string }
    | { readonly claim: ClaimPath; readonly values: Readonly<Record<string, string>> }
  readonly scopes: {
    readonly claim: ClaimPath
    readonly values?: Readonly<Record<string, readonly string[]>> | undefined
  }
  readonly scopesMax?: readonly string[] | undefined
  readonly skewMs: number
  readonly lifetimeMsMax: number
  readonly dpop: 'optional' | 'required'
  readonly allowPrivateNetwork: boolean
  readonly dangerouslyAllowHttp: boolean
}

export interface ForeignIssuerParts extends StandingParts {
  /** The canonical address of the MCP endpoint: what tokens are for where the settings name nothing else. */
  readonly resource: () => string | undefined
  readonly roles: ReadonlyMap<string, ScopeSet>
  /** The scopes of the configuration and those built in. */
  readonly scopes: ReadonlySet<string>
  readonly parse: ParseJson
  readonly clock: Clock
  readonly report: (cause: unknown) => void
  /** Default: over https, as the settings allow. */
  readonly fetch?: FetchDocument
  /** Where the issuer is asked about tokens that say nothing themselves. Default: nowhere. */
  readonly introspection?: Introspection | undefined
}

/** An issuer whose keys and claims are read as the settings say. */
export function foreignIssuer(settings: IssuerSettings, parts: ForeignIssuerParts): TrustedIssuer {
  const { issuer } = settings
  const { resource, roles, parse, clock, report, introspection } = parts
  const fetch =
    parts.fetch ??
    documentFetcher({
      allowPrivateNetwork: settings.allowPrivateNetwork,
      allowHttp: settings.dangerouslyAllowHttp,
    })
  const keys = new IssuerKeys({ issuer, keySetUrl: settings.jwksUri, fetch, parse, clock, report })
  const mapping = mappingOf(settings, parts.scopes)
  const audiences: Readonly<Record<Door, () => string | undefined>> = {
    mcp: () => settings.audience ?? resource(),
    control: () => settings.controlAudience,
  }
  const principalOf = (claims: JsonObject, held: HeldClaims) => mapClaims(issuer, claims, held, mapping, roles)
  const standingOf = (principal: Principal, { subject }: HeldClaims) =>
    standingIn(parts, { issuer, subject }, principal)
  return {
    issuer,
    algorithms: new Set(settings.algorithms),
    types: new Set(settings.types.map((type) => type.toLowerCase())),
    untyped: settings.untyped,
    audience: (door) => audiences[door](),
    skewMs: settings.skewMs,
    lifetimeMsMax: settings.lifetimeMsMax,
    required: new Map(Object.entries(settings.required)),
    bound: settings.dpop === 'required',
    find: (kid, algorithm) => keys.find(kid, algorithm),
    place: (claims, held) => standingOf(principalOf(claims, held), held),
    ...(introspection && { opaque: { introspection, principalOf, standingOf } }),
  }
}

function mappingOf({ tenant, role, scopes, scopesMax }: IssuerSettings, known: ReadonlySet<string>): Mapping {
  return {
    tenant: 'value' in tenant ? tenant : { claim: tenant.claim, ...valuesOf(tenant.values) },
    role: 'value' in role ? role : { claim: role.claim, values: new Map(Object.entries(role.values)) },
    scopes: { claim: scopes.claim, ...valuesOf(scopes.values) },
    ceiling: scopesMax && scopeSet(scopesMax),
    known,
  }
}

function valuesOf<Value>(values: Readonly<Record<string, Value>> | undefined): { values?: ReadonlyMap<string, Value> } {
  return values === undefined ? {} : { values: new Map(Object.entries(values)) }
}
