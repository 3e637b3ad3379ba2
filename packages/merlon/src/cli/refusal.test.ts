import { describe, expect, test } from 'vitest'
import { ControlRefusal, type Problem } from '../admin/control.ts'
import { ControlUnreachable } from '../admin/http-control.ts'
import { CliError } from './context.ts'
import type { Flag } from './operation-flags.ts'
import { type Asked, explainRefusal } from './refusal.ts'

const name: Flag = {
  part: 'body',
  field: 'name',
  flag: 'name',
  does: '',
  kind: 'text',
  choices: undefined,
  nullable: false,
  required: true,
  secret: false,
}
const asked: Asked = {
  noun: 'key',
  command: 'merlon key update',
  named: undefined,
  flags: [name, { ...name, field: 'lifetime', flag: 'expires' }, { ...name, field: 'password', secret: true }],
  given: {},
  unknown: undefined,
  first: undefined,
  local: false,
  server: 'https://mcp.example',
}

function told(problem: Partial<Problem>, more: Partial<Asked> = {}): string {
  const whole = { type: 'urn:x', title: 'No.', status: 400, code: 'X', ...problem }
  return words(new ControlRefusal(whole), more)
}

function words(thrown: unknown, more: Partial<Asked> = {}): string {
  const explained = explainRefusal(thrown, { ...asked, ...more })
  if (!(explained instanceof CliError)) throw explained
  return `${explained.message} | ${explained.hint}`
}

describe('a refusal in the words of the command line', () => {
  test.each<[Partial<Problem>, Partial<Asked>, string]>([
    [{ status: 404 }, { named: 'key_9f2' }, 'no key named key_9f2 | `merlon key list` shows the keys you can see'],
    [
      { status: 404 },
      { given: { name: 'x', tenant: 'acme', user: 'ann' } },
      'no user named ann | `merlon user list` shows the users you can see',
    ],
    [
      { status: 404 },
      { unknown: { says: 'nothing is signed yet', hint: 'run it again' } },
      'nothing is signed yet | run it again',
    ],
    [
      { status: 403, detail: 'Required scope: admin' },
      {},
      'required scope: admin | ask an operator, or use a credential that may',
    ],
    [{ status: 409, detail: 'The name is taken.' }, {}, 'the name is taken | `merlon key list` shows what is there'],
    [{ status: 412 }, {}, 'somebody changed it meanwhile | look at it, and run it again'],
    [{ status: 429, title: 'Too many calls.' }, {}, 'too many calls | wait a minute, and run it again'],
    [
      { status: 503, title: 'The store is gone.', requestId: 'r-1' },
      {},
      'the store is gone (request r-1) | look into the log of the server',
    ],
  ])('%j', (problem, more, expected) => {
    expect(told(problem, more)).toBe(expected)
  })

  test('a wrong field is called by its flag, a secret by its name, and several are told at once', () => {
    const errors = [
      { path: 'body.lifetime', says: 'Not a lifetime such as 90d', expected: '90d' },
      { path: 'body.password', says: 'Too short.' },
      { path: 'body.nowhere[0]', says: 'unknown', expected: 'less' },
    ]
    expect(told({ errors: errors.slice(0, 1) })).toBe(
      '--expires: not a lifetime such as 90d (expected: 90d) | `merlon key update --help` shows what it takes',
    )
    expect(told({ errors })).toBe(
      [
        '3 things are wrong',
        '  --expires: not a lifetime such as 90d (expected: 90d)',
        '  the password: too short',
        '  body.nowhere[0]: unknown (expected: less) | `merlon key update --help` shows what it takes',
      ].join('\n'),
    )
  })

  test('what a server says cannot reach the terminal as more than text', () => {
    const text = told({ status: 409, detail: '\u001b[2Jgone', errors: [] })
    expect(text).not.toContain('\u001b')
    expect(told({ status: 400, errors: [{ path: 'a\u0007', says: '\u009b' }] })).not.toMatch(/[\u0007\u009b]/)
  })
})

describe('no answer', () => {
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })

  test.each<['absent' | 'lost' | 'foreign', string]>([
    [
      'absent',
      'https://mcp.example cannot be reached: nothing listens there | check the address; the control plane has a port of its own, admin.port',
    ],
    [
      'lost',
      'https://mcp.example went away before it answered, and what was asked may have been done | look at what is there before you run it again',
    ],
    ['foreign', 'https://mcp.example answers, and is no control plane of Merlon | check the address and the port'],
  ])('%s', (how, expected) => {
    expect(words(new ControlUnreachable(how, refused))).toBe(expected)
  })

  test('a server that stops between two requests of a command beside it', () => {
    expect(words(new ControlUnreachable('absent', refused), { local: true })).toBe(
      'the server cannot be reached: nothing listens there | run it again',
    )
  })

  test('what is no refusal is left as it is', () => {
    const bug = new TypeError('x')
    expect(explainRefusal(bug, asked)).toBe(bug)
  })
})
