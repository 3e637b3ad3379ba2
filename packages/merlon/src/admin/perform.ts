import type { Instant, Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import { actorOf } from '../identity/actor.ts'
import { everyTenant } from '../identity/reach.ts'
import { decide, type Requirement } from '../policy/decide.ts'
import { scopeSet } from '../policy/scopes.ts'
import type { FieldError } from './control.ts'
import { fieldErrors, invalid } from './fields.ts'
import type { ControlContext, Document, Operation } from './operation.ts'
import type { ControlParts } from './parts.ts'

/** Whoever can open the data folder holds the root key and the database already. */
export const localPrincipal: Principal = Object.freeze({
  id: 'local-operator',
  kind: 'user',
  // Of no tenant: nothing is reached by it but what reaches every tenant.
  tenant: '',
  credential: 'local-operator',
  role: 'operator',
  granted: scopeSet(['admin']),
  effective: scopeSet(['admin']),
  expiresAt: Number.POSITIVE_INFINITY,
  binding: 'local-operator',
})

/** A request to an operation as it came: nothing of it has been believed. */
export interface Asked {
  readonly principal: Principal | undefined
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
  /** If-Match. */
  readonly version: string | undefined
  /** Idempotency-Key. */
  readonly attempt: string | undefined
  readonly requestId: string
  readonly address: string
  readonly credential: string | undefined
  readonly startedAt: Instant
}

export interface Performed {
  readonly status: number
  /** JSON, or a document of the operation's own media type; undefined where there is nothing to say. */
  readonly text: string | AsyncIterable<string> | undefined
  readonly type: string | undefined
  /** The version of what is shown. */
  readonly etag: string | undefined
}

/** Refuses who may not. Routes ask it before a body is read, and whatever way in is taken asks it again. */
export function checkAccess(principal: Principal, { access, reach }: Pick<Operation, 'access' | 'reach'>): void {
  if (access === 'open') return
  checkScope(principal, access)
  if (reach === 'installation' && actorOf(principal).tenant !== everyTenant)
    throw new Fault('change.forbidden', { reason: 'reach', says: 'It takes an operator of the installation.' })
}

function checkScope(principal: Principal, requirement: Requirement): void {
  const decision = decide(principal, requirement)
  if (decision.allowed) return
  // What the control plane can do is no secret, so what a role never reaches is refused like what a credential lacks.
  const scope = decision.hidden ? (requirement === 'authenticated' ? undefined : requirement.scope) : decision.scope
  throw new Fault('scope.missing', scope === undefined ? {} : { says: `Required scope: ${scope}`, scope })
}

/**
 * Does what is asked, or throws a Fault. In this order: may they, is all of it well formed, is it what they think it is,
 * is it they who sit there; then once. What was done is on record before it is answered.
 */
export async function perform(operation: Operation, asked: Asked, parts: ControlParts): Promise<Performed> {
  const principal = asked.principal ?? nobody
  if (operation.access !== 'open') {
    if (asked.principal === undefined) throw new Fault('credential.missing')
    checkAccess(principal, operation)
  }
  const input = parse(operation, asked)
  const context: ControlContext = {
    principal,
    actor: actorOf(principal),
    parts,
    now: parts.clock(),
    requestId: asked.requestId,
    address: asked.address,
    credential: asked.credential,
  }
  if (operation.confirmed?.(input.body as never) && !(await parts.secondFactors.isConfirmed(context.actor)))
    throw new Fault('confirmation.required')
  const make = async () => (await operation.run(context, input as never)) as unknown
  if (operation.media !== undefined) {
    const document = (await make()) as Document
    record(operation, asked, parts)
    return { status: operation.status, text: document.text, type: document.type, etag: undefined }
  }
  const makeText = async () => {
    const value = await make()
    // What was taken back is refused on the very next call, here at once.
    if (operation.method !== 'GET') await parts.refresh()
    return value === undefined ? '' : JSON.stringify(value)
  }
  const named = operation.creates && asked.attempt !== undefined
  const text = named
    ? await parts.attempts.once(
        {
          caller: callerOf(principal),
          operation: operation.name,
          name: asked.attempt,
          request: JSON.stringify([input.params, input.query, input.body]),
        },
        context.now,
        makeText,
      )
    : await makeText()
  record(operation, asked, parts)
  return {
    status: operation.status,
    text: text === '' ? undefined : text,
    type: undefined,
    etag: text === '' ? undefined : etagOf(text),
  }
}

const nobody: Principal = Object.freeze({
  ...localPrincipal,
  id: '',
  credential: '',
  role: '',
  granted: scopeSet([]),
  effective: scopeSet([]),
  expiresAt: 0,
  binding: '',
})

function parse(operation: Operation, asked: Asked) {
  const errors: FieldError[] = []
  const part = (name: 'params' | 'query' | 'body', value: unknown) => {
    const schema = operation[name]
    if (schema === undefined) {
      if (value !== undefined) errors.push({ path: name, says: 'this operation takes none' })
      return undefined
    }
    const parsed = schema.safeParse(value)
    if (!parsed.success) errors.push(...fieldErrors(name, parsed.error.issues))
    return parsed.data
  }
  const params = part('params', asked.params)
  const query = part('query', asked.query)
  const body = part('body', asked.body)
  if (operation.versioned && asked.version === undefined) throw new Fault('version.missing')
  const version = operation.versioned ? versionOf(asked.version) : 0
  if (version === undefined)
    errors.push({ path: 'header.If-Match', says: 'not an ETag of ours', expected: 'the ETag that was seen' })
  if (asked.attempt !== undefined && !attemptPattern.test(asked.attempt))
    errors.push({ path: 'header.Idempotency-Key', says: 'malformed', expected: '1 to 128 visible ASCII characters' })
  if (errors.length > 0) throw invalid(errors)
  return { params, query, body, version: version ?? 0 }
}

const attemptPattern = /^[\x21-\x7e]{1,128}$/

/**
 * Whose attempts are one list. What was made may be answered again with its secret, so only to who may do as much as who
 * made it: another token of the same subject may carry less.
 */
function callerOf({ binding, effective }: Principal): string {
  return [binding, ...[...effective].sort()].join('\n')
}

/** `"3"` is version 3. A weak tag, a list or `*` says nothing about what the caller has seen. */
function versionOf(header: string | undefined): number | undefined {
  const [, digits] = /^"(0|[1-9][0-9]{0,14})"$/.exec(header ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

function etagOf(text: string): string | undefined {
  const { version } = JSON.parse(text) as { version?: unknown }
  return typeof version === 'number' ? `"${version}"` : undefined
}

function record(operation: Operation, asked: Asked, parts: ControlParts): void {
  const { principal } = asked
  // Nobody asked and nothing changed, as for the sign of life: a stranger may not fill the log with it (AL-07).
  if (principal === undefined && operation.method === 'GET') return
  parts.audit.append({
    type: 'access',
    success: true,
    level: 'info',
    requestId: asked.requestId,
    ip: asked.address,
    clientId: principal?.credential,
    principal: principal?.id,
    tenant: principal?.tenant === '' ? undefined : principal?.tenant,
    method: operation.name,
    target: asked.params['id'],
    scope: typeof operation.access === 'object' ? operation.access.scope : undefined,
    outcome: 'done',
    durationMs: parts.clock() - asked.startedAt,
  })
}
