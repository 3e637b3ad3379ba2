import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { operation } from '../admin/operation.ts'
import { addFlags, flagsOf, readFlags } from './operation-flags.ts'

const example = operation({
  name: 'things.create',
  method: 'POST',
  path: '/api/things',
  summary: 'Makes a thing.',
  access: { scope: 'write' },
  query: z.strictObject({ dryRun: z.boolean().optional() }),
  body: z.strictObject({
    name: z.string(),
    scopes: z.array(z.string()).optional(),
    email: z.string().nullable().optional(),
    count: z.int().optional(),
    isActive: z.boolean().optional(),
    metadata: z.record(z.string(), z.json()).optional(),
    status: z.enum(['on', 'off']).optional(),
    password: z.string().meta({ format: 'password' }).optional(),
  }),
  run: () => {},
})
const flags = flagsOf(example, { 'body.scopes': { flag: 'may' } })

function parse(args: readonly string[]) {
  const command = new Command().exitOverride().configureOutput({ outputError() {} })
  addFlags(command, flags)
  command.parse(args, { from: 'user' })
  return readFlags(flags, command.opts(), '/')
}

describe('the flags of an operation', () => {
  test('each field has the kind of its schema', () => {
    const args = [
      ...['--name', 'ann', '--may', 'read, write', '--email', 'a@b.example', '--count', '3', '--is-active'],
      ...['--metadata', '{"a":[1]}', '--status', 'off', '--dry-run'],
    ]
    expect(parse(args)).toEqual({
      query: { dryRun: true },
      body: {
        name: 'ann',
        scopes: ['read', 'write'],
        email: 'a@b.example',
        count: 3,
        isActive: true,
        metadata: { a: [1] },
        status: 'off',
      },
    })
  })

  test('what may be null is taken away by its opposite, and a switch is turned off by it', () => {
    expect(parse(['--no-email', '--no-is-active']).body).toEqual({ email: null, isActive: false })
  })

  test('what is not given is not sent, and an empty list is a list', () => {
    expect(parse([])).toEqual({ query: {}, body: {} })
    expect(parse(['--may', '']).body).toEqual({ scopes: [] })
  })

  test.each([
    [['--count', 'many'], '--count takes a number'],
    [['--metadata', '{'], '--metadata takes JSON, or @ and the name of a file of JSON'],
    [['--metadata', '@not-there'], '--metadata takes JSON, or @ and the name of a file of JSON'],
    [
      ['--status', 'maybe'],
      "error: option '--status <text>' argument 'maybe' is invalid. Allowed choices are on, off.",
    ],
    [['--password', 'x'], "error: unknown option '--password'"],
  ])('%j is refused', (args, says) => {
    expect(() => parse(args)).toThrow(says)
  })

  test('a field that several forms of a body share is required where all of them need it', () => {
    const either = operation({
      ...{ name: 'x', method: 'POST', path: '/x', summary: '', access: 'open' },
      body: z.union([
        z.strictObject({ email: z.string(), word: z.string() }),
        z.strictObject({ name: z.string(), word: z.string() }),
      ]),
      run: () => {},
    })
    expect(flagsOf(either).map(({ field, required }) => `${field} ${required}`)).toEqual([
      'email false',
      'word true',
      'name false',
    ])
  })
})
