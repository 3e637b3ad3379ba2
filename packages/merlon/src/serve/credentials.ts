import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Awaitable, Clock, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Gate } from '../guard/gate.ts'
import { type Authenticator, verdictOf } from '../identity/authenticator.ts'
import type { Doors } from '../identity/doors.ts'
import { ProofReplays } from '../identity/dpop.ts'
import { foreignIssuer, type IssuerSettings } from '../identity/foreign-issuer.ts'
import { type FailureCounter, Introspection } from '../identity/introspection.ts'
import { type StandingParts, standingIn } from '../identity/issuer.ts'
import { type FetchDocument, formPoster, type PostForm } from '../identity/jwks-fetch.ts'
import { keyPrefix } from '../identity/key-format.ts'
import { OpaqueVerifier } from '../identity/opaque-verifier.ts'
import type { SigningKeys } from '../identity/signing-keys.ts'
import { TokenVerifier } from '../identity/token-verifier.ts'
import type { Tokens } from '../identity/tokens.ts'
import type { Door, Scheme, Shown, Verdict } from '../identity/verdict.ts'
import { parseJson } from '../wire/json.ts'

export interface CredentialParts extends StandingParts {
  /** Checks an API key at a door. */
  readonly verify: (credential: string, door: Door, address: string) => Awaitable<Verdict>
  readonly tokens: Pick<Tokens, 'asIssuer'>
  readonly signingKeys: Pick<SigningKeys, 'onDestroyed'>
  readonly doors: Doors
  readonly issuers: readonly IssuerSettings[]
  readonly authenticator: Authenticator | undefined
  readonly roles: ReadonlyMap<string, ScopeSet>
  /** The scopes that there are. */
  readonly scopes: ReadonlySet<string>
  readonly clock: Clock
  /** Milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  /** Counts failures before an issuer is asked about a token. */
  readonly failures: FailureCounter
  /** With what the issuer that is asked about tokens knows us. */
  readonly introspectionSecret: string | undefined
  /** Told once of each outage of an issuer. */
  readonly report: (cause: unknown) => void
  /** How documents of issuers are read. Default: over https, as each issuer's settings allow. */
  readonly fetch?: FetchDocument
  /** How an issuer is asked about a token. Default: as its documents are read. */
  readonly post?: PostForm
}

/** A token is a few claims: nothing in it needs more. */
const tokenBounds = { depthMax: 16, nodesMax: 2_000 }
const parse = (bytes: Buffer): unknown => parseJson(bytes, tokenBounds)

/**
 * Answers what checks credentials at each door. An API key goes by its prefix; a token by the issuer it names, ours first;
 * what names none to the one issuer that is asked about such tokens, and to nobody else. What is then left goes to the project's
 * module, where there is one. The module knows of no door but the MCP endpoint.
 */
export function verifiers(parts: CredentialParts): (door: Door) => Gate['verify'] {
  const { tokens, signingKeys, doors, clock, steadyClock } = parts
  const replays = new ProofReplays()
  const foreign = parts.issuers.map((settings) =>
    foreignIssuer(settings, {
      ...parts,
      resource: () => doors.resource('mcp'),
      parse,
      introspection: introspectionOf(settings, parts),
    }),
  )
  const issuers = () => {
    const own = tokens.asIssuer()
    return own === undefined ? foreign : [own, ...foreign]
  }
  const asked = foreign.find(({ opaque }) => opaque !== undefined)
  return (door) => {
    const origin = () => originOf(doors.resource(door))
    const common = { door, origin, parse, replays, clock }
    const signed = new TokenVerifier({ ...common, issuers, leavesMalformed: foreign.length === 0 })
    signingKeys.onDestroyed(() => signed.forget())
    const opaque = asked?.opaque && new OpaqueVerifier({ ...common, steadyClock, issuer: asked, opaque: asked.opaque })
    return (credential, shown, scheme) => check(parts, { signed, opaque }, door, credential, shown, scheme)
  }
}

function introspectionOf(
  { introspection, allowPrivateNetwork, dangerouslyAllowHttp }: IssuerSettings,
  { introspectionSecret, post, ...parts }: CredentialParts,
): Introspection | undefined {
  if (introspection === undefined) return undefined
  const { url, clientId } = introspection
  if (introspectionSecret === undefined) throw new Error('there is no secret to ask the issuer with')
  return new Introspection({
    ...parts,
    url,
    clientId,
    clientSecret: introspectionSecret,
    post: post ?? formPoster({ allowPrivateNetwork, allowHttp: dangerouslyAllowHttp }),
    parse,
  })
}

/** What checks tokens at a door: those that say themselves what they are, and those that do not. */
interface TokenVerifiers {
  readonly signed: TokenVerifier
  readonly opaque: OpaqueVerifier | undefined
}

function check(
  parts: CredentialParts,
  { signed, opaque }: TokenVerifiers,
  door: Door,
  credential: string,
  shown: Shown,
  scheme: Scheme,
): Awaitable<Verdict> {
  const { verify, authenticator, roles, clock } = parts
  if (credential.startsWith(keyPrefix)) {
    return scheme === 'dpop' ? refused('scheme') : verify(credential, door, shown.address)
  }
  const verdict = scheme === 'header' ? 'malformed' : signed.verify(credential, scheme, shown)
  if (typeof verdict !== 'string') return verdict
  // What the issuer is asked about nobody else is shown, whatever the answer.
  if (verdict === 'malformed' && opaque !== undefined && scheme !== 'header')
    return opaque.verify(credential, scheme, shown)
  const bound = scheme === 'dpop' || scheme === 'proven'
  if (authenticator === undefined || door !== 'mcp' || bound) return refused(verdict)
  return askAuthenticator(authenticator, credential, shown).then((answer) => {
    const verdict = verdictOf(answer, roles, clock())
    // The module says who it is; whether their tenant stands is ours to say.
    return verdict.ok ? standingIn(parts, undefined, verdict.principal)(clock()) : verdict
  })
}

function refused(reason: string): Verdict {
  return { ok: false, reason, credential: undefined }
}

/** The address of a door without its path. */
function originOf(resource: string | undefined): string {
  return resource === undefined ? '' : new URL(resource).origin
}

/** Longer than a token endpoint takes, shorter than a caller waits. */
const authenticatorMs = 5_000

async function askAuthenticator(
  authenticator: Authenticator,
  credential: string,
  { address, requestId }: Shown,
): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_answered, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${authenticatorMs} ms`)), authenticatorMs)
  })
  try {
    return await Promise.race([authenticator.authenticate(credential, { address, requestId }), late])
  } catch (cause) {
    // That it could not be checked is our outage, not the caller's bad credential.
    throw new Fault('store.unavailable', { cause, reason: 'authenticator' })
  } finally {
    clearTimeout(timer)
  }
}

/** Loads the project's module. Throws, in words for the operator, where it is no authenticator. */
export async function loadAuthenticator(
  project: string,
  module: string | undefined,
): Promise<Authenticator | undefined> {
  if (module === undefined) return undefined
  const file = isAbsolute(module) ? module : join(project, module)
  const loaded: { default?: Partial<Authenticator> } = await import(pathToFileURL(resolve(file)).href)
  if (typeof loaded.default?.authenticate !== 'function') {
    throw new Error(`${file}: the default export is not made with defineAuthenticator`)
  }
  return loaded.default as Authenticator
}
