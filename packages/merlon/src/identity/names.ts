import { scopePattern } from '../policy/scopes.ts'

/* What names may be. Each is bounded, and none holds a character that a terminal would act on. */

/** 1 to 64 letters, digits, spaces and `._@:/-`, a letter or digit first. */
export const namePattern = /^[\p{L}\p{N}][\p{L}\p{N} ._@:/-]{0,63}$/u
export const tenantPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

const emailPattern =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
const emailLengthMax = 254

/**
 * An e-mail as it is kept and compared: in lower case, and of ASCII alone, so that no two that look the same differ.
 * `undefined` for what is none.
 */
export function canonicalEmail(text: string): string | undefined {
  // Before the case is folded: outside of ASCII are letters that fold into it.
  if (text.length > emailLengthMax || !/^[!-~]+$/.test(text)) return undefined
  const email = text.toLowerCase()
  return emailPattern.test(email) ? email : undefined
}

const scopesMax = 64

/** Scopes sorted and each once, or `undefined` where they are not a list of scopes. An empty list is one. */
export function canonicalScopes(asked: readonly string[]): readonly string[] | undefined {
  const scopes = [...new Set(asked)].sort()
  return scopes.length <= scopesMax && scopes.every((scope) => scopePattern.test(scope)) ? scopes : undefined
}
