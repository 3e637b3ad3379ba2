import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import * as z from 'zod'
import type { Operation } from '../admin/operation.ts'
import { CliError } from './context.ts'

/** How a field is asked for where its own name does not say it well. */
export interface FlagWords {
  /** Without the dashes. Default: the name of the field, in kebab case. */
  readonly flag?: string
  readonly does?: string
  /** It is not taken as a flag: something else gives it. */
  readonly hidden?: true
  /** It is the id of a user, and the name will do. */
  readonly user?: true
}

/** By the place of the field, as `body.name`. */
export type FlagTable = Readonly<Record<string, FlagWords>>

type Kind = 'text' | 'list' | 'number' | 'yes-no' | 'json'

export interface Flag {
  readonly part: 'query' | 'body'
  readonly field: string
  readonly flag: string
  readonly does: string
  readonly kind: Kind
  readonly choices: readonly string[] | undefined
  readonly nullable: boolean
  readonly required: boolean
  readonly secret: boolean
}

interface Shape {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Shape[]
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
}

/** What an operation takes beside its path, as flags: one for each field of its schemas. */
export function flagsOf(operation: Operation, words: FlagTable = {}): readonly Flag[] {
  return (['body', 'query'] as const).flatMap((part) => {
    const schema = operation[part]
    if (schema === undefined) return []
    const { properties, required } = membersOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape)
    return Object.entries(properties).map(([field, shape]): Flag => {
      const { flag = kebab(field), does } = words[`${part}.${field}`] ?? {}
      const forms = formsOf(shape)
      const form = forms.find(({ type }) => type !== 'null') ?? shape
      return {
        part,
        field,
        flag,
        does: does ?? shape.description ?? form.description ?? field,
        kind: kindOf(form),
        choices: form.enum?.map(String),
        nullable: forms.some(({ type }) => type === 'null'),
        required: required.includes(field),
        secret: form.format === 'password',
      }
    })
  })
}

/** The members of an object, or of all forms that it may have; what one of these does not need is not required. */
function membersOf({ properties = {}, required = [], anyOf }: Shape): {
  readonly properties: Readonly<Record<string, Shape>>
  readonly required: readonly string[]
} {
  if (anyOf === undefined) return { properties, required }
  const forms = anyOf.map(membersOf)
  return {
    properties: Object.assign({}, ...forms.map((form) => form.properties)),
    required: (forms[0]?.required ?? []).filter((field) => forms.every((form) => form.required.includes(field))),
  }
}

function formsOf(shape: Shape): readonly Shape[] {
  if (shape.anyOf !== undefined) return shape.anyOf
  return typeof shape.type === 'object' ? shape.type.map((type) => ({ ...shape, type })) : [shape]
}

function kindOf({ type }: Shape): Kind {
  switch (type) {
    case 'array':
      return 'list'
    case 'integer':
    case 'number':
      return 'number'
    case 'boolean':
      return 'yes-no'
    case 'object':
      return 'json'
    default:
      return 'text'
  }
}

export const takes: Readonly<Record<Kind, string>> = {
  text: '<text>',
  list: '<list>',
  number: '<number>',
  'yes-no': '',
  json: '<json>',
}

/** Adds the flags to a command. A secret never gets one: the arguments of a process are for all to see. */
export function addFlags(command: Command, flags: readonly Flag[], words: FlagTable = {}): void {
  for (const each of flags) {
    if (each.secret || words[`${each.part}.${each.field}`]?.hidden) continue
    const does = sentence(each.does)
    const option = new Option(
      `--${each.flag} ${takes[each.kind]}`.trimEnd(),
      each.kind === 'list' ? `${does}, with commas` : does,
    )
    if (each.choices !== undefined) option.choices([...each.choices])
    command.addOption(option)
    if (each.nullable) command.addOption(new Option(`--no-${each.flag}`, 'take it away'))
    else if (each.kind === 'yes-no') command.addOption(new Option(`--no-${each.flag}`, 'the opposite'))
  }
}

/** As the other texts of a help page stand: no capital, no full stop, no marks of a document. */
function sentence(text: string): string {
  return text
    .replaceAll('`', '')
    .replace(/\.$/, '')
    .replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase())
}

export interface FlagValues {
  readonly query: Readonly<Record<string, string | number | boolean>>
  readonly body: Readonly<Record<string, unknown>>
}

/** The flags that were given, as parts of a request. */
export function readFlags(flags: readonly Flag[], options: Readonly<Record<string, unknown>>, cwd: string): FlagValues {
  const query: Record<string, string | number | boolean> = {}
  const body: Record<string, unknown> = {}
  for (const each of flags) {
    const given = options[camel(each.flag)]
    if (given === undefined || each.secret) continue
    if (each.part === 'query') query[each.field] = typeof given === 'boolean' ? given : String(given)
    else body[each.field] = bodyValue(each, given, cwd)
  }
  return { query, body }
}

function bodyValue({ kind, flag, nullable }: Flag, given: unknown, cwd: string): unknown {
  if (given === false && nullable) return null
  if (typeof given !== 'string') return given
  switch (kind) {
    case 'list':
      return given.trim() === '' ? [] : given.split(',').map((entry) => entry.trim())
    case 'number':
      if (!/^-?[0-9]{1,15}$/.test(given)) throw new CliError(`--${flag} takes a number`, undefined, { exitCode: 2 })
      return Number(given)
    case 'json':
      return parseJson(flag, given, cwd)
    default:
      return given
  }
}

function parseJson(flag: string, given: string, cwd: string): unknown {
  try {
    return JSON.parse(given.startsWith('@') ? readFileSync(resolve(cwd, given.slice(1)), 'utf8') : given)
  } catch (cause) {
    const says = `--${flag} takes JSON, or @ and the name of a file of JSON`
    throw new CliError(says, `try --${flag} '{"team":"blue"}'`, { exitCode: 2, cause })
  }
}

export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The name under which commander keeps a flag. */
function camel(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
