import type { Noun } from './control-command.ts'
import { plain } from './plain.ts'

export const codeWords = { word: 'code', question: 'Code of the second factor' } as const
const noSignIn = {
  says: 'the credential is of no sign-in',
  hint: 'a second factor is for who signs in: `merlon login`',
}

export const secondFactorNoun: Noun = {
  name: 'second-factor',
  does: 'ask for a code beside your password when you sign in',
  commands: [
    {
      name: 'begin',
      operation: 'second-factor.begin',
      unknown: noSignIn,
      does: 'make the secret for your authenticator app; it is printed once',
      secret: { word: 'password', question: 'Password' },
      says: ({ uri, secret }) => `${plain(String(uri))}\n${plain(String(secret))}`,
      aside: () => 'give one of the two to your app, and then a code of it to `merlon second-factor confirm`',
    },
    {
      name: 'confirm',
      operation: 'second-factor.confirm',
      unknown: noSignIn,
      does: 'turn it on with a first code, and end your other sign-ins; the recovery codes are printed once',
      secret: codeWords,
      says: ({ recoveryCodes }) => (recoveryCodes as readonly string[]).join('\n'),
      aside: () => 'it is on; each of these is good once in the place of a code: keep them where your app is not',
    },
    {
      name: 'remove',
      operation: 'second-factor.remove',
      unknown: noSignIn,
      does: 'take it away, with a code, and end your other sign-ins',
      secret: codeWords,
      question: () => 'Sign in with the password alone from now on?',
      says: () => 'it is taken away, and your other sign-ins are ended',
    },
  ],
}
