import { ControlRefusal, type FieldError, type Problem } from '../admin/control.ts'
import { ControlUnreachable } from '../admin/http-control.ts'
import { CliError } from './context.ts'
import type { Flag } from './operation-flags.ts'
import { plain } from './plain.ts'

/** What a 404 means where nothing is named, and the next thing to try. */
export interface Unknown {
  readonly says: string
  readonly hint: string
}

/** What a refusal is about, so that it can be told in the words of the command. */
export interface Asked {
  /** As `key`. */
  readonly noun: string
  /** As `merlon key create`. */
  readonly command: string
  /** The name or id on the line, if there is one. */
  readonly named: string | undefined
  readonly flags: readonly Flag[]
  /** What was given, by the names of the fields. */
  readonly given: Readonly<Record<string, unknown>>
  /** What a 404 means, where nothing is named. */
  readonly unknown: Unknown | undefined
  /** The first thing on the line, where it stands for a field: `body.name`. */
  readonly first: string | undefined
  readonly local: boolean
  /** Where a control plane elsewhere is. */
  readonly server: string | undefined
}

/** A refusal of the control plane, or its silence, in words for the person who ran the command. */
export function explainRefusal(thrown: unknown, asked: Asked): unknown {
  if (thrown instanceof ControlUnreachable) return unreachable(thrown, asked)
  if (!(thrown instanceof ControlRefusal)) return thrown
  const { problem } = thrown
  const { says, hint } = wordsOf(problem, asked)
  return new CliError(says, hint, { cause: thrown })
}

function wordsOf(problem: Problem, asked: Asked): { says: string; hint: string } {
  const { noun, command } = asked
  const says = plain(sentence(problem.detail ?? problem.title))
  switch (problem.status) {
    case 401:
      if (problem.code === 'SECOND_FACTOR_REQUIRED')
        return { says, hint: 'give it with --code-stdin or --code-file, or run it where it can ask' }
      if (problem.code === 'LOGIN_REFUSED') return { says, hint: 'look at both, and try again' }
      return {
        says: 'the server does not take this credential',
        hint: 'sign in with `merlon login`, or make a key on its machine: merlon key create --use control …',
      }
    case 403:
      if (problem.code === 'CONFIRMATION_REQUIRED') return { says, hint: 'run `merlon confirm`, and then this again' }
      return { says, hint: 'ask an operator, or use a credential that may' }
    case 404:
      return unknown(asked)
    case 409:
      // One's own, of which there is no list.
      if (noun === 'second-factor' || noun === 'login')
        return { says, hint: '`merlon second-factor --help` shows how it is turned on and off' }
      return { says, hint: `\`merlon ${noun} list\` shows what is there` }
    case 412:
      return { says: 'somebody changed it meanwhile', hint: 'look at it, and run it again' }
    case 400:
    case 422:
      if (problem.errors !== undefined && problem.errors.length > 0) return invalid(problem.errors, asked)
      return { says, hint: `\`${command} --help\` shows what it takes` }
    case 429:
      return { says, hint: 'wait a minute, and run it again' }
  }
  const id = problem.requestId === undefined ? '' : ` (request ${plain(problem.requestId)})`
  return { says: `${says}${id}`, hint: 'look into the log of the server' }
}

/** What is named and not there: the thing itself, or the one that a flag names. */
function unknown({ noun, named, given, unknown }: Asked): { says: string; hint: string } {
  if (named !== undefined) return notThere(noun, named)
  for (const [field, what] of namingFields) {
    const name = given[field]
    if (typeof name === 'string') return notThere(what, name)
  }
  return unknown ?? { says: 'there is no such entry', hint: '`merlon whoami` shows who you are there' }
}

const namingFields = [
  ['agent', 'agent'],
  ['owner', 'user'],
  ['user', 'user'],
  ['tenant', 'tenant'],
] as const

function notThere(noun: string, name: string): { says: string; hint: string } {
  return {
    says: `no ${noun.replaceAll('-', ' ')} named ${plain(name)}`,
    hint: `\`merlon ${noun} list\` shows the ${plural(noun)} you can see`,
  }
}

/** One wrong field is told in a line, several each in their own. */
function invalid(errors: readonly FieldError[], asked: Asked): { says: string; hint: string } {
  const told = errors.map(({ path, says, expected }) => {
    const place = placeOf(path, asked)
    const more = expected === undefined || /expected/.test(says) ? '' : ` (expected: ${plain(expected)})`
    return `${place}: ${sentence(plain(says))}${more}`
  })
  return {
    says:
      told.length === 1
        ? (told[0] ?? '')
        : `${told.length} things are wrong\n${told.map((each) => `  ${each}`).join('\n')}`,
    hint: `\`${asked.command} --help\` shows what it takes`,
  }
}

/** The flag that stands for a field, as `--expires` for `body.lifetime`. */
function placeOf(path: string, { flags, first, noun, given }: Asked): string {
  const [, part = '', field = ''] = /^(\w+)\.(\w+)/.exec(path) ?? []
  // What was not given is not what is wrong: a rule about names speaks of what stands first on the line.
  const named = first?.split('.')[1]
  if (named !== undefined && (field === named || (field === 'name' && given['name'] === undefined)))
    return `the ${named} of the ${noun}`
  const flag = flags.find((each) => each.part === part && each.field === field)
  if (flag === undefined) return plain(path)
  return flag.secret ? `the ${field}` : `--${flag.flag}`
}

function unreachable({ how, cause }: ControlUnreachable, { server, local }: Asked): CliError {
  const where = local ? 'the server' : plain(server ?? 'the server')
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  if (how === 'absent') {
    const why = cause instanceof Error ? `: ${plain(reasons.get(code ?? '') ?? cause.message)}` : ''
    return new CliError(
      `${where} cannot be reached${why}`,
      local ? 'run it again' : 'check the address; the control plane has a port of its own, admin.port',
      { cause },
    )
  }
  if (how === 'lost') {
    return new CliError(
      `${where} went away before it answered, and what was asked may have been done`,
      'look at what is there before you run it again',
      { cause },
    )
  }
  return new CliError(`${where} answers, and is no control plane of Merlon`, 'check the address and the port', {
    cause,
  })
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'there is no such host'],
  ['ECONNRESET', 'it closed the connection'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is not signed by anybody known; NODE_EXTRA_CA_CERTS names your own'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate is not signed by anybody known; NODE_EXTRA_CA_CERTS names your own'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate cannot be verified; NODE_EXTRA_CA_CERTS names your own'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
])

/** The sentences of the table, as the command line writes them: no capital, no full stop. */
export function sentence(text: string): string {
  return text.replace(/\.$/, '').replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase())
}

function plural(noun: string): string {
  return `${noun.replaceAll('-', ' ')}s`
}
