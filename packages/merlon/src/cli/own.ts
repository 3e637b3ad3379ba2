import { CliError } from './context.ts'
import type { Noun } from './control-command.ts'
import { codeWords } from './second-factor.ts'
import { isGiven, mustHaveSecret, mustHaveTwo, readTwoLines, withSecret } from './secret-input.ts'

const password = { word: 'password', question: 'Password' } as const
const newPassword = { word: 'password', question: 'New password', twice: true } as const

/** Signing in and out at a control plane elsewhere. The local operator needs neither. */
const noSignIn = { says: 'the credential is of no sign-in', hint: '`merlon whoami` shows who you are there' }

export const ownNoun: Noun = {
  name: 'login',
  does: 'sign in at a control plane elsewhere',
  commands: [
    {
      name: 'login',
      operation: 'auth.login',
      does: 'sign in with a password; the token is printed once',
      anonymous: true,
      flags: {
        'body.tenant': { does: 'with --name: the tenant of the user' },
        'body.name': { does: 'with --tenant: the name of the user' },
        'body.email': { does: 'the e-mail of the user' },
        'body.resource': { does: 'the address that the token is for (default: the control plane)' },
      },
      more: (command) => withSecret(command, codeWords),
      prepare: async ({ body }, { context, options }) => {
        if (body['email'] === undefined && (body['tenant'] === undefined || body['name'] === undefined)) {
          throw new CliError('nobody is named', 'try --email you@company.example, or --tenant and --name', {
            exitCode: 2,
          })
        }
        if (options['passwordStdin'] && options['codeStdin']) {
          const [first, second] = await readTwoLines(context, 'write the password there, and then the code')
          Object.assign(body, { password: first, code: second })
          return
        }
        body['password'] = await mustHaveSecret(context, options, password)
        if (isGiven(options, codeWords.word)) body['code'] = await mustHaveSecret(context, options, codeWords)
      },
      secret: { ...password, prepared: true },
      // Who has no second factor is not asked for a code, and who has one is asked when the password was right.
      again: async ({ code }, { body }, { context }) => {
        if (code !== 'SECOND_FACTOR_REQUIRED' || !context.interactive) return false
        body['code'] = await mustHaveSecret(context, {}, codeWords)
        return true
      },
      says: ({ accessToken }) => String(accessToken),
      aside: ({ expiresAt }) =>
        `signed in until ${expiresAt}; give the token to other commands in MERLON_TOKEN, it is shown this once`,
    },
    {
      name: 'confirm',
      operation: 'auth.confirm',
      unknown: noSignIn,
      does: 'show your second factor again, for what asks for it within the next ten minutes',
      secret: codeWords,
      says: ({ confirmedUntil }) => `confirmed until ${confirmedUntil}`,
    },
    {
      name: 'renew',
      operation: 'auth.renew',
      unknown: noSignIn,
      does: 'get a new token for the sign-in that the present one is of',
      flags: { 'body.resource': { does: 'the address that the token is for (default: the control plane)' } },
      says: ({ accessToken }) => String(accessToken),
      aside: ({ expiresAt }) => `it is good until ${expiresAt}, and is shown this once`,
    },
    {
      name: 'logout',
      operation: 'auth.logout',
      unknown: noSignIn,
      does: 'end the sign-in that the token is of',
      says: () => 'signed out',
    },
    { name: 'whoami', operation: 'auth.me', does: 'say who you are there, and what you may do' },
    {
      name: 'change-password',
      operation: 'auth.change-password',
      unknown: noSignIn,
      does: 'change your own password, and end your other sign-ins',
      secret: { ...newPassword, prepared: true },
      prepare: async ({ body }, { context, options }) => {
        const [current, next] = await mustHaveTwo(context, options, [
          { word: 'password', question: 'Present password' },
          newPassword,
        ])
        Object.assign(body, { current, next })
      },
      says: () => 'the password is changed, and your other sign-ins are ended',
    },
  ],
}
