import * as z from 'zod'
import { admin, type Operation, operation } from './operation.ts'
import { done } from './refused.ts'
import { byId, time, timeOf } from './shapes.ts'
import { password } from './users.ts'

/** Of an app, or a recovery code; blanks and dashes are of no matter. A secret: who sees it before it is used could use it. */
export const code = z
  .string()
  .min(6)
  .max(32)
  .meta({ format: 'password' })
  .describe('A code of the authenticator app, or a recovery code.')

const bodyBytesMax = 4_096

export const secondFactorOperations: readonly Operation[] = [
  operation({
    name: 'auth.confirm',
    method: 'POST',
    path: '/api/auth/confirm',
    summary: 'Shows the second factor again: for ten minutes the sign-in may do what asks for that.',
    access: 'authenticated',
    refuses: ['entry.unknown', 'change.conflict'],
    status: 200,
    bodyBytesMax,
    body: z.strictObject({ code }),
    answer: z.strictObject({ confirmedUntil: time }),
    run: async ({ parts, actor, address }, { body }) => ({
      confirmedUntil: timeOf(done(await parts.secondFactors.confirmSignIn(body, actor, address)).until),
    }),
  }),
  operation({
    name: 'second-factor.begin',
    method: 'POST',
    path: '/api/auth/second-factor',
    summary: 'Makes the secret of your second factor. It is asked for once a code of it was confirmed.',
    access: 'authenticated',
    status: 201,
    refuses: ['entry.unknown', 'change.conflict'],
    bodyBytesMax,
    body: z.strictObject({ password }),
    answer: z.strictObject({
      uri: z.string().describe('For a QR code. Shown this once.'),
      secret: z.string().describe('The same, to be typed. Shown this once.'),
    }),
    run: async ({ parts, actor, address }, { body }) => {
      const { uri, secret } = done(await parts.secondFactors.begin(body, actor, address))
      return { uri, secret }
    },
  }),
  operation({
    name: 'second-factor.confirm',
    method: 'POST',
    path: '/api/auth/second-factor/confirm',
    summary: 'Turns your second factor on with a first code, answers the recovery codes, and ends your other sign-ins.',
    access: 'authenticated',
    status: 200,
    refuses: ['entry.unknown', 'change.conflict', 'version.stale'],
    bodyBytesMax,
    body: z.strictObject({ code }),
    answer: z.strictObject({
      recoveryCodes: z.array(z.string()).describe('Each is good once, in the place of a code. Shown this once.'),
    }),
    run: async ({ parts, actor, address }, { body }) => ({
      recoveryCodes: [...done(await parts.secondFactors.confirm(body, actor, address)).recoveryCodes],
    }),
  }),
  operation({
    name: 'second-factor.remove',
    method: 'POST',
    path: '/api/auth/second-factor/remove',
    summary: 'Takes your second factor away, with a code, and ends your other sign-ins.',
    access: 'authenticated',
    refuses: ['entry.unknown', 'change.conflict', 'version.stale'],
    bodyBytesMax,
    body: z.strictObject({ code }),
    run: async ({ parts, actor, address }, { body }) => {
      done(await parts.secondFactors.remove(body, actor, address))
    },
  }),
  operation({
    name: 'users.remove-second-factor',
    method: 'DELETE',
    path: '/api/users/{id}/second-factor',
    summary: 'Takes the second factor of another user away, who has lost it, and ends their sign-ins.',
    access: admin,
    confirmed: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown', 'version.stale'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.secondFactors.removeOf(params.id, actor))
    },
  }),
]
