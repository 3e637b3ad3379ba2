import type { CliContext } from './context.ts'
import { CliError } from './context.ts'
import { readPrivateFile } from './secret-input.ts'

export interface CredentialOption {
  readonly credentialFile?: string
}

/** Where the environment holds the credential for a control plane elsewhere: a control key, or the token of a sign-in. */
export const credentialNames = ['MERLON_CONTROL_KEY', 'MERLON_TOKEN'] as const

/** The credential for a control plane elsewhere: from a file, the environment, or a person. */
export async function givenCredential(context: CliContext, { credentialFile }: CredentialOption): Promise<string> {
  if (credentialFile !== undefined) return checked(readPrivateFile(context, credentialFile), credentialFile)
  const named = credentialNames.filter((name) => (context.env[name] ?? '') !== '')
  if (named.length > 1) {
    throw new CliError(`${named.join(' and ')} are both set`, 'unset the one that is not meant', { exitCode: 2 })
  }
  const [name] = named
  if (name !== undefined) return checked(context.env[name] ?? '', name)
  const typed = context.interactive ? await context.askSecret('Control key or token: ') : ''
  if (typed !== '') return checked(typed, 'what was typed')
  throw new CliError(
    'the server asks for a credential, and none was given',
    'set MERLON_CONTROL_KEY or MERLON_TOKEN, or name a file with --credential-file',
    { exitCode: 2 },
  )
}

/** A credential goes into a header: visible ASCII without spaces. What is not may be a whole file of something else. */
function checked(text: string, from: string): string {
  if (/^[\x21-\x7e]{1,8192}$/.test(text)) return text
  throw new CliError(`${from} holds no credential`, 'a control key begins with mrl_, a token with ey')
}
