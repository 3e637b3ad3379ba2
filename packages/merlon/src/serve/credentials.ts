import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Awaitable, Clock, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Gate } from '../guard/gate.ts'
import { type Authenticator, verdictOf } from '../identity/authenticator.ts'
import type { Doors } from '../identity/doors.ts'
import { ProofReplays } from '../identity/dpop.ts'
import { foreignIssuer, type IssuerSettings } from '../identity/foreign-issuer.ts'
import { type StandingParts, standingIn } from '../identity/issuer.ts'
import type { FetchDocument } from '../identity/jwks-fetch.ts'
import { keyPrefix } from '../identity/key-format.ts'
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
  /** Told once of each outage of an issuer. */
  readonly report: (cause: unknown) => void
  /** How documents of issuers are read. Default: over https, as each issuer's settings allow. */
  readonly fetch?: FetchDocument
}

/** A token is a few claims: nothing in it needs more. */
const tokenBounds = { depthMax: 16, nodesMax: 2_000 }
const parse = (bytes: Buffer): unknown => parseJson(bytes, tokenBounds)

/**
 * Answers what checks credentials at each door. An API key goes by its prefix; a token by the issuer it names, ours first;
 * what is neither goes to the project's module, where there is one. The module knows of no door but the MCP endpoint.
 */
export function verifiers(parts: CredentialParts): (door: Door) => Gate['verify'] {
  const { tokens, signingKeys, doors, clock } = parts
  const replays = new ProofReplays()
  const foreign = parts.issuers.map((settings) =>
    foreignIssuer(settings, { ...parts, resource: () => doors.resource('mcp'), parse }),
  )
  const issuers = () => {
    const own = tokens.asIssuer()
    return own === undefined ? foreign : [own, ...foreign]
  }
  return (door) => {
    const origin = () => originOf(doors.resource(door))
    const verifier = new TokenVerifier({
      door,
      origin,
      issuers,
      leavesMalformed: foreign.length === 0,
      parse,
      replays,
      clock,
    })
    signingKeys.onDestroyed(() => verifier.forget())
    return (credential, shown, scheme) => check(parts, verifier, door, credential, shown, scheme)
  }
}

function check(
  parts: CredentialParts,
  tokens: TokenVerifier,
  door: Door,
  credential: string,
  shown: Shown,
  scheme: Scheme,
): Awaitable<Verdict> {
  const { verify, authenticator, roles, clock } = parts
  if (credential.startsWith(keyPrefix)) {
    return scheme === 'dpop' ? refused('scheme') : verify(credential, door, shown.address)
  }
  const verdict = scheme === 'header' ? 'malformed' : tokens.verify(credential, scheme, shown)
  if (typeof verdict !== 'string') return verdict
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
