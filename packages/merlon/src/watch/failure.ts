/** What may be logged of something that was thrown. */
export interface Failure {
  readonly type: string
  readonly code?: string
  readonly says?: string
  /** Where, innermost first. */
  readonly at?: readonly string[]
  readonly cause?: Failure
}

const framesMax = 8
const saysLengthMax = 300
const causesMax = 3

/**
 * What was thrown, fit for a log: its class, its code, and where it was thrown. What it says is left out unless asked for:
 * the error of a tool quotes the arguments it was given as often as not, and a log may hold none (AL-04). Nothing else that
 * hangs on an error is shown, such as the address that a client failed to reach, with the password in it.
 */
export function describeFailure(thrown: unknown, says: boolean, depth = 0): Failure {
  if (!(thrown instanceof Error)) return { type: thrown === null ? 'null' : typeof thrown }
  const { name, code, message, stack, cause } = thrown as Error & { readonly code?: unknown }
  const at = framesOf(stack, message)
  return {
    type: word(name) ?? 'Error',
    ...(word(code) === undefined ? {} : { code: word(code)! }),
    ...(says ? { says: masked(message).slice(0, saysLengthMax) } : {}),
    ...(at.length === 0 ? {} : { at }),
    ...(cause === undefined || depth >= causesMax ? {} : { cause: describeFailure(cause, says, depth + 1) }),
  }
}

/** A name of ours, of Node or of a database: not a text that somebody put there. */
function word(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(text) ? text : undefined
}

/** The frames of a stack: what follows the message in it, which may have lines that look like frames. */
function framesOf(stack: unknown, message: string): readonly string[] {
  if (typeof stack !== 'string') return []
  const begins = stack.indexOf(message === '' ? '\n' : message)
  // The message was changed since: where the old one ends is not known.
  const head = message === '' ? /^[\w$.]+(?: \[\w+\])?(?:: ?)?$/ : /^[\w$.]+(?: \[\w+\])?: $/
  if (begins < 0 || !head.test(stack.slice(0, begins))) return []
  const frames: string[] = []
  for (const line of stack.slice(begins + message.length).split('\n')) {
    const frame = /^ {4}at (?<where>[ -~]{1,300})$/.exec(line)
    if (frame !== null) frames.push(frame.groups!['where']!)
  }
  return frames.slice(0, framesMax)
}

/** Keys of ours, and what stands between a scheme and a host, as in the address of a database. */
function masked(text: string): string {
  return text.replace(/mrl_[0-9A-Za-z]+_[0-9A-Za-z]+/g, 'mrl_…').replace(/:\/\/[^/@\s]*@/g, '://…@')
}
