import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { operations } from '../admin/operations.ts'
import { type ControlCommand, registerNoun } from './control-command.ts'
import { allCommands, groups, single } from './control-commands.ts'
import { flagsOf } from './operation-flags.ts'
import { silentContext } from './silent-context.fixture.ts'

const commands = allCommands()

describe('the commands of the control plane', () => {
  test('every operation is reached by a command', () => {
    const reached = new Set(commands.map(({ operation }) => operation))
    expect(operations.map(({ name }) => name).filter((name) => !reached.has(name))).toEqual([])
  })

  test('every command is of an operation that there is', () => {
    const names = new Set(operations.map(({ name }) => name))
    expect(commands.filter(({ operation }) => !names.has(operation))).toEqual([])
  })

  test('every field of an operation is given by some command of it: on the line, as a flag, or as a secret', () => {
    const missing = operations.flatMap((operation) => {
      const of = commands.filter((command) => command.operation === operation.name)
      return flagsOf(operation)
        .filter(({ part, field, secret }) => !of.some((command) => gives(command, `${part}.${field}`, secret)))
        .map(({ part, field }) => `${operation.name} ${part}.${field}`)
    })
    expect(missing).toEqual([])
  })

  test('AD-11: no secret is a flag, where others would see it among the arguments', () => {
    const secrets = operations.flatMap((operation) =>
      flagsOf(operation).flatMap(({ field, secret }) => (secret ? [`--${field}`] : [])),
    )
    expect([...new Set(secrets)].sort()).toEqual(['--code', '--current', '--key', '--next', '--password'])
    const flags = new Set(registered().flatMap(({ options }) => options.map(({ long }) => long)))
    // `audit query --key` is the id of a key, and its `--code` what a caller was told.
    for (const flag of ['--key', '--code']) {
      const others = registered().filter((command) => command.options.some(({ long }) => long === flag))
      expect(others.map((command) => `${command.parent?.name()} ${command.name()}`)).toEqual([
        'audit query',
        'audit tail',
        'audit export',
      ])
    }
    for (const flag of ['--current', '--next', '--password']) expect(flags.has(flag), flag).toBe(false)
  })

  test('a list shows members that its items have', () => {
    const thing = new Set<string>()
    const noting = new Proxy({}, { get: (_, member) => void (typeof member === 'string' && thing.add(member)) })
    const missing = commands.flatMap(({ operation: name, columns }) => {
      thing.clear()
      for (const { of } of columns ?? []) of(noting)
      const answer = operations.find((operation) => operation.name === name)?.answer
      const known = answer === undefined ? '' : JSON.stringify(z.toJSONSchema(answer, { unrepresentable: 'any' }))
      // A record of the audit log is open: it has the members of its type.
      if (name === 'audit.query') return []
      return [...thing].filter((member) => !known.includes(`"${member}":`)).map((member) => `${name} ${member}`)
    })
    expect(missing).toEqual([])
  })

  test('what takes something away for good asks first', () => {
    const asking = commands.filter(({ question }) => question !== undefined).map(({ operation }) => operation)
    const removing = operations.filter(({ method }) => method === 'DELETE').map(({ name }) => name)
    expect(removing.filter((name) => !asking.includes(name))).toEqual([])
  })

  test('a field that a command fixes is not a flag of it', () => {
    const disable = registered().find((command) => command.parent?.name() === 'user' && command.name() === 'disable')
    expect(disable?.options.map(({ long }) => long)).toEqual([
      '--project',
      '--server',
      '--credential-file',
      '--tenant',
      '--yes',
      '--json',
    ])
  })
})

function gives(command: ControlCommand, place: string, secret: boolean): boolean {
  const [part = '', field = ''] = place.split('.')
  if (command.first === place || command.flags?.[place]?.hidden) return true
  if (secret) return command.secret !== undefined
  const fixed = part === 'body' ? command.fixed?.body : command.fixed?.query
  return fixed?.[field] !== undefined || !command.flagless
}

function registered(): readonly Command[] {
  const program = new Command()
  for (const noun of single) registerNoun(program, noun, silentContext(), () => {})
  for (const [name, nouns] of groups) {
    const group = program.command(name)
    for (const noun of nouns) registerNoun(group, noun, silentContext(), () => {})
  }
  return program.commands.flatMap((command) => [command, ...command.commands])
}
