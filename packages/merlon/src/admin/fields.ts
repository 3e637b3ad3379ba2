import type * as z from 'zod'
import { Fault } from '../errors.ts'
import type { FieldError } from './control.ts'

const errorsMax = 50
const textMax = 200

/** Everything that is wrong with one part of a request. It never repeats a value: that could be a password. */
export function fieldErrors(where: string, issues: readonly z.core.$ZodIssue[]): readonly FieldError[] {
  return issues.map((issue) => {
    const expected = expectedOf(issue)
    return {
      path: pathOf(where, issue.path).slice(0, textMax),
      says: saysOf(issue).slice(0, textMax),
      ...(expected === undefined ? {} : { expected: expected.slice(0, textMax) }),
    }
  })
}

export function invalid(errors: readonly FieldError[]): Fault {
  return new Fault('fields.invalid', { data: { errors: errors.slice(0, errorsMax) } })
}

function pathOf(where: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    where,
  )
}

function saysOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown: ${issue.keys.map((key) => key.slice(0, 64)).join(', ')}`
  // A union says what each of its forms misses; "Invalid input" alone would send the reader to the document.
  return issue.message
}

function expectedOf(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected
    case 'invalid_value':
      return issue.values.map(String).join(' | ')
    case 'too_small':
      return `at least ${String(issue.minimum)}`
    case 'too_big':
      return `at most ${String(issue.maximum)}`
    case 'invalid_format':
      return issue.format === 'regex' ? undefined : issue.format
    case 'unrecognized_keys':
      return 'only the fields of the schema'
    default:
      return undefined
  }
}
