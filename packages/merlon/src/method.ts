import type { Awaitable, Params } from './call.ts'
import type { HeaderParam } from './catalog/header-params.ts'
import type { Checked } from './catalog/schema.ts'
import type { Fault } from './errors.ts'
import type { Requirement } from './policy/decide.ts'

/** What one call is about: a tool, a prompt, a resource, or the method alone. */
export interface Target {
  readonly requirement: Requirement
  /** What the audit record names: a tool, a prompt, a resource. */
  readonly name?: string
  /** How many calls it counts as. Default 1. */
  readonly cost?: number
  /** How many calls of it may be under way at once. */
  readonly concurrency?: number
  /** Parameters mirrored into headers (2026-07-28). */
  readonly headerParams?: readonly HeaderParam[]
  /** Checks the arguments; what it answers is what the handler gets. */
  check?(params: Params): Awaitable<Checked>
}

/** A protocol method as the guards see it: what it takes to call it, and how to refuse. */
export interface Method {
  readonly name: string
  /** How the audit record calls it. */
  readonly audit: 'access' | 'tool_access' | 'session'
  /** Whether a session must have been opened before (stateful revisions). */
  readonly needsSession: boolean
  /** Finds what the call is about; undefined where there is no such thing. Throws where the parameters make no sense. */
  target(params: Params): Target | undefined
  /** The answer for a thing that is not there, or must look so. */
  unknown(params: Params): Fault
}
