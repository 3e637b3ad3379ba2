import * as z from 'zod'
import { Fault } from '../errors.ts'
import type { SignInRequest } from '../identity/sign-ins.ts'
import type { IssuedToken } from '../identity/tokens.ts'
import type { Door } from '../identity/verdict.ts'
import { invalid } from './fields.ts'
import { type ControlContext, type Operation, operation, write } from './operation.ts'
import { done } from './refused.ts'
import { code } from './second-factor.ts'
import { id, time, timeOf } from './shapes.ts'
import { password, showUser, user } from './users.ts'

const resource = z
  .string()
  .max(2_048)
  .optional()
  .describe(
    'What the token is for (RFC 8707): the address of the control plane, which is the default, or of the MCP endpoint.',
  )

const issued = {
  accessToken: z.string().describe('Shown this once.'),
  tokenType: z.literal('Bearer'),
  expiresAt: time,
  scopes: z.array(z.string()),
}

function showToken({ token, expiresAt, scopes }: IssuedToken) {
  return { accessToken: token, tokenType: 'Bearer' as const, expiresAt: timeOf(expiresAt), scopes: [...scopes] }
}

function doorOf({ parts }: ControlContext, asked: string | undefined): Door {
  const door = asked === undefined ? 'control' : parts.doors.doorAt(asked)
  if (door !== undefined && parts.doors.resource(door) !== undefined) return door
  const ours = [parts.doors.resource('control'), parts.doors.resource('mcp')].filter((each) => each !== undefined)
  throw invalid([
    { path: 'body.resource', says: 'nothing that is open here has this address', expected: ours.join(' | ') },
  ])
}

/** Of no matter where the user has no second factor: who may be asked for one is not told before the password. */
const proofs = { password, code: code.optional(), resource }

const signIn = z.union([
  z.strictObject({ email: z.string().min(1).max(254), ...proofs }),
  z.strictObject({ tenant: z.string().min(1).max(64), name: z.string().min(1).max(64), ...proofs }),
])

export const authOperations: readonly Operation[] = [
  operation({
    name: 'auth.login',
    method: 'POST',
    path: '/api/auth/login',
    summary:
      'Signs in with a password, and a code where the user has a second factor, and answers a short-lived access token.',
    access: 'open',
    refuses: ['login.refused', 'login.second-factor', 'rate.exceeded'],
    bodyBytesMax: 4_096,
    body: signIn,
    answer: z.strictObject({ ...issued, signIn: id, signInExpiresAt: time, user }),
    run: async (context, { body }) => {
      const { resource, ...request } = body
      // An address that is not ours is told before a password is looked at: it says nothing about who may sign in.
      const door = doorOf(context, resource)
      const asked: SignInRequest = { ...request, address: context.address }
      const opened = await context.parts.signIns.signIn(asked)
      const token = await context.parts.tokens.issue({ signIn: opened.signIn.id, door })
      return {
        ...showToken(token),
        signIn: opened.signIn.id,
        signInExpiresAt: timeOf(opened.signIn.expiresAt),
        user: showUser(opened.user),
      }
    },
  }),
  operation({
    name: 'auth.renew',
    method: 'POST',
    path: '/api/auth/token',
    summary: 'Answers a new token for the sign-in that you ask with; it lives no longer than the sign-in.',
    access: 'authenticated',
    refuses: ['entry.unknown'],
    body: z.strictObject({ resource }).optional(),
    answer: z.strictObject(issued),
    run: async (context, { body }) => {
      const { signIn } = context.actor
      if (signIn === undefined) throw new Fault('entry.unknown', { reason: 'no-sign-in' })
      // A token is never renewed into one that may do more.
      const scopes = [...context.principal.effective]
      return showToken(await context.parts.tokens.issue({ signIn, door: doorOf(context, body?.resource), scopes }))
    },
  }),
  operation({
    name: 'auth.logout',
    method: 'POST',
    path: '/api/auth/logout',
    summary: 'Ends the sign-in that you ask with; its tokens are refused from the next call on.',
    access: 'authenticated',
    refuses: ['entry.unknown'],
    run: async ({ parts, actor }) => {
      done(await parts.signIns.signOut(actor))
    },
  }),
  operation({
    name: 'auth.me',
    method: 'GET',
    path: '/api/auth/me',
    summary: 'Says who you are here, and what you may do.',
    access: 'authenticated',
    answer: z.strictObject({
      id,
      kind: z.enum(['user', 'agent', 'external']),
      tenant: z.string().optional().describe('Absent for the local operator, who is of none.'),
      role: z.string(),
      scopes: z.array(z.string()).describe('What this credential may do.'),
      credential: z.string().describe('Its public id.'),
      reach: z.enum(['tenant', 'installation']),
      expiresAt: time.optional(),
    }),
    run: ({ principal, actor }) => ({
      id: principal.id,
      kind: principal.kind,
      ...(principal.tenant === '' ? {} : { tenant: principal.tenant }),
      role: principal.role,
      scopes: [...principal.effective].sort(),
      credential: principal.credential,
      reach: typeof actor.tenant === 'symbol' ? ('installation' as const) : ('tenant' as const),
      ...(Number.isFinite(principal.expiresAt) ? { expiresAt: timeOf(principal.expiresAt) } : {}),
    }),
  }),
  operation({
    name: 'auth.change-password',
    method: 'POST',
    path: '/api/auth/password',
    summary: 'Changes your own password, and ends your other sign-ins.',
    access: write,
    refuses: ['entry.unknown', 'rate.exceeded', 'version.stale'],
    bodyBytesMax: 4_096,
    body: z.strictObject({ current: password, next: password }),
    run: async ({ parts, actor, address }, { body }) => {
      done(await parts.users.changeOwnPassword(body, actor, address))
    },
  }),
]
