import * as z from 'zod'
import type { Instant } from '../call.ts'
import { scopePattern } from '../policy/scopes.ts'

/*
 * What several nouns have in common. A body is bounded here so that nothing larger reaches a rule; what a name or a scope
 * may be is for the rules of the slice to say.
 */

/** Without control characters: nothing has one in its name, and a zero byte is an error of PostgreSQL. */
export const text = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^\P{Cc}*$/u, 'a text without control characters')

export const id = text(128)
export const byId = z.strictObject({ id })
export const name = text(64)
export const tenantId = text(64).describe('As `acme`.')
export const scopes = z.array(z.string().regex(scopePattern, 'a scope such as read or files:write')).max(64)
export const version = z.int().min(0).describe('Counts the changes; the ETag.')
export const time = z.iso.datetime('takes a time in UTC, as 2026-11-22T08:00:00Z')

export function timeOf(at: Instant): string {
  return new Date(at).toISOString()
}

export function maybeTime(at: Instant | undefined): string | undefined {
  return at === undefined ? undefined : timeOf(at)
}

/** Without the members that are undefined: what is absent says nothing, `undefined` could be taken for an answer. */
export function given<T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never
}
