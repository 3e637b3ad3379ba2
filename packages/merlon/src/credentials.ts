import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Awaitable, Clock } from './call.ts'
import { Fault } from './errors.ts'
import type { Gate } from './guard/gate.ts'
import { type Authenticator, verdictOf } from './identity/authenticator.ts'
import { keyPrefix } from './identity/key-format.ts'
import type { Verdict } from './identity/verdict.ts'

/** API keys are ours to check; any other credential goes to the project's module, where there is one. */
export function verifier(
  keys: { readonly verify: (credential: string) => Awaitable<Verdict> },
  authenticator: Authenticator | undefined,
  roles: ReadonlyMap<string, ReadonlySet<string>>,
  clock: Clock,
): Gate['verify'] {
  if (authenticator === undefined) return (credential) => keys.verify(credential)
  return (credential, { address, requestId }): Awaitable<Verdict> => {
    if (credential.startsWith(keyPrefix)) return keys.verify(credential)
    return askAuthenticator(authenticator, credential, { address, requestId }).then((answer) =>
      verdictOf(answer, roles, clock()),
    )
  }
}

/** Longer than a token endpoint takes, shorter than a caller waits. */
const authenticatorMs = 5_000

async function askAuthenticator(
  authenticator: Authenticator,
  credential: string,
  request: { address: string; requestId: string },
): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_answered, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${authenticatorMs} ms`)), authenticatorMs)
  })
  try {
    return await Promise.race([authenticator.authenticate(credential, request), late])
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
