import type { Command } from 'commander'
import { type ControlInput, ControlRefusal, type Problem } from '../admin/control.ts'
import { operationsByName } from '../admin/operations.ts'
import { type CliContext, CliError, mustConfirm } from './context.ts'
import { addFlags, type Flag, type FlagTable, flagsOf, readFlags, takes } from './operation-flags.ts'
import { cell, json, lines, table } from './plain.ts'
import { type Asked, explainRefusal, type Unknown } from './refusal.ts'
import { mustHaveSecret, type SecretWords, withSecret } from './secret-input.ts'
import { type Asking, type ControlOptions, openControl, withControl } from './which-control.ts'

/** One thing of an answer, read by the names of its members. */
export type Thing = Readonly<Record<string, unknown>>

export interface Column {
  readonly head: string
  readonly of: (thing: Thing) => unknown
}

/** What commands of one noun have in common. */
export interface Noun {
  /** As `key`. */
  readonly name: string
  readonly does: string
  /** How its ids begin, as `usr_`. What begins otherwise is taken for a name, where the noun has names that are looked up. */
  readonly prefix?: string
  /** The operation that shows one; and the one that looks for a name. */
  readonly get?: string
  readonly find?: string
  /** What a person calls one of them. */
  readonly label?: (thing: Thing) => string
  readonly commands: readonly ControlCommand[]
}

export type Options = ControlOptions & {
  readonly json?: true
  readonly yes?: true
  readonly all?: true
  readonly tenant?: string
} & Thing

/** What a command is being run with. */
export interface Run {
  readonly context: CliContext
  readonly asking: Asking
  readonly options: Options
  readonly words: readonly string[]
  /** What the first word names, where it was looked up. */
  readonly thing: Thing | undefined
}

/** A command that performs one operation. Its flags are the fields of the operation's schemas. */
export interface ControlCommand {
  /** As `create`; with a word after the noun's. */
  readonly name: string
  readonly operation: string
  readonly does: string
  /** Words before the flags, as `<name>`. */
  readonly words?: readonly string[]
  /** The first word names the thing that it is about. */
  readonly about?: 'thing'
  /** The first word is this field, as `body.name`. */
  readonly first?: string
  readonly flags?: FlagTable
  /** The fields that are neither fixed nor on the line are not asked for. */
  readonly flagless?: true
  /** What is sent whatever the flags say. */
  readonly fixed?: { readonly body?: Thing; readonly query?: ControlInput['query'] }
  /** A flag that is no field. */
  readonly more?: (command: Command) => void
  /** Asks before it is done; not where it is done already. */
  readonly question?: (label: string, thing: Thing | undefined) => string | undefined
  /** The one field that is a secret, and how it is asked for. Where it may be left out, `prepare` gives it. */
  readonly secret?: SecretWords & { readonly prepared?: true }
  /** No credential goes with it. */
  readonly anonymous?: true
  /** Does it without a control plane, where the options say so, and answers the exit code. */
  readonly before?: (context: CliContext, options: Options) => Promise<number | undefined>
  /** What it means that there is no such entry, where nothing is named on the line. */
  readonly unknown?: Unknown
  /** The exit code that an answer earns. Default 0. */
  readonly exitCode?: (answer: Thing) => number
  /** Adds to what was given, or refuses it. */
  readonly prepare?: (input: Mutable, run: Run) => Promise<void> | void
  /** Adds what a refusal asks for, and answers whether to send it once more. */
  readonly again?: (refusal: Problem, input: Mutable, run: Run) => Promise<boolean>
  /** The answer is no JSON, and is printed as it comes. */
  readonly raw?: true
  /** The columns of a list. */
  readonly columns?: readonly Column[]
  /** What is printed of an answer. Default: its members. */
  readonly says?: (answer: Thing, run: Run) => string
  /** What is said beside it. */
  readonly aside?: (answer: Thing, run: Run) => string
  /** Does it all in its own way; the flags are still those of the operation. */
  readonly run?: (run: Run, input: Mutable) => Promise<void>
}

export interface Mutable {
  params: Record<string, string>
  query: Record<string, string | number | boolean>
  body: Record<string, unknown>
  version?: number
}

/** Adds the commands of a noun. */
export function registerNoun(
  group: Command,
  noun: Noun,
  context: CliContext,
  exitWith: (exitCode: number) => void,
): void {
  for (const each of noun.commands) registerCommand(group, noun, each, context, exitWith)
}

function registerCommand(
  group: Command,
  noun: Noun,
  spec: ControlCommand,
  context: CliContext,
  exitWith: (exitCode: number) => void,
): void {
  const operation = operationsByName.get(spec.operation)
  if (operation === undefined) throw new Error(`there is no operation ${spec.operation}`)
  const hidden = Object.keys({
    ...prefixed('body', spec.fixed?.body),
    ...prefixed('query', spec.fixed?.query),
    ...(spec.first === undefined ? {} : { [spec.first]: true }),
  })
  const words: FlagTable = {
    'query.cursor': { flag: 'after', does: 'go on after the page that said so' },
    'query.limit': { does: 'entries in a page' },
    ...spec.flags,
    ...Object.fromEntries(hidden.map((place) => [place, { hidden: true as const }])),
  }
  const all = flagsOf(operation, words)
  const flags = spec.flagless ? all.filter(({ secret }) => secret) : all
  const command = withControl(group.command(spec.name)).description(spec.does)
  for (const word of spec.words ?? []) command.argument(word)
  addFlags(command, flags, words)
  spec.more?.(command)
  if (spec.secret !== undefined) withSecret(command, spec.secret)
  const named = looksUpNames(noun, spec) || Object.values(words).some(({ user }) => user)
  if (named && !flags.some(({ flag }) => flag === 'tenant')) {
    command.option('--tenant <name>', 'the tenant of what is named (default: default)')
  }
  if (spec.columns !== undefined && flags.some(({ field }) => field === 'cursor')) {
    command.option('--all', 'every page')
  }
  if (spec.question !== undefined) command.option('--yes', 'do not ask')
  if (!spec.raw) command.option('--json', 'print JSON, as the API answers')
  command.action(async (...given: unknown[]) => {
    const options = given.at(-2) as Options
    const typed = given.slice(0, -2).filter((word) => typeof word === 'string')
    await runCommand({ context, exitWith, noun, spec, flags, words: typed, options, title: titleOf(command) })
  })
}

function titleOf(command: Command): string {
  return command.parent === null ? command.name() : `${titleOf(command.parent)} ${command.name()}`
}

function prefixed(part: string, values: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.keys(values ?? {}).map((field) => [`${part}.${field}`, true]))
}

function looksUpNames(noun: Noun, { about }: ControlCommand): boolean {
  return about === 'thing' && noun.find !== undefined
}

interface Given {
  readonly context: CliContext
  readonly exitWith: (exitCode: number) => void
  readonly noun: Noun
  readonly spec: ControlCommand
  readonly flags: readonly Flag[]
  readonly words: readonly string[]
  readonly options: Options
  /** As `merlon key create`. */
  readonly title: string
}

async function runCommand({ context, exitWith, noun, spec, flags, words, options, title }: Given): Promise<void> {
  const doneBefore = await spec.before?.(context, options)
  if (doneBefore !== undefined) {
    exitWith(doneBefore)
    return
  }
  const read = readFlags(flags, options, context.cwd)
  const input: Mutable = {
    params: {},
    query: { ...read.query, ...spec.fixed?.query },
    body: { ...read.body, ...spec.fixed?.body },
  }
  const [first] = words
  if (spec.first !== undefined && first !== undefined) place(input, spec.first, first)
  const asking = await openControl(context, options, { credential: !spec.anonymous })
  const asked: Asked = {
    noun: noun.name,
    command: title,
    given: { ...input.query, ...input.body },
    unknown: spec.unknown,
    named: spec.about === undefined ? undefined : first,
    flags,
    first: spec.first,
    local: asking.local,
    server: options.server,
  }
  try {
    const operation = operationsByName.get(spec.operation)!
    let thing: Thing | undefined
    if (spec.about === 'thing') {
      const found = await lookUp(noun, first ?? '', asking, options, operation.versioned || spec.question !== undefined)
      input.params['id'] = found.id
      thing = found.thing
      if (operation.versioned && typeof thing?.['version'] === 'number') input.version = thing['version']
    }
    const run: Run = { context, asking, options, words, thing }
    for (const each of flags) {
      const named = input[each.part][each.field]
      if (spec.flags?.[`${each.part}.${each.field}`]?.user && typeof named === 'string')
        input[each.part][each.field] = await userId(named, asking, options)
    }
    await spec.prepare?.(input, run)
    checkRequired(flags, input, spec, title)
    const question = spec.question?.(labelOf(noun, thing, first), thing)
    if (question !== undefined) await mustConfirm(context, options, question)
    const secret = flags.find((flag) => flag.secret)
    if (spec.secret !== undefined && !spec.secret.prepared && secret !== undefined)
      input[secret.part][secret.field] = await mustHaveSecret(context, options, spec.secret)
    if (spec.run !== undefined) await spec.run(run, input)
    else if (spec.columns !== undefined) await printList(run, spec, spec.columns, input)
    else if (spec.raw) {
      const request = requestOf(spec.operation, input)
      let last = '\n'
      await asking.control.call(spec.operation, {
        ...request,
        take: (piece) => {
          last = piece.at(-1) ?? last
          return context.write(piece)
        },
      })
      if (last !== '\n') await context.write('\n')
    } else {
      const send = () => asking.control.call(spec.operation, requestOf(spec.operation, input))
      const { body } = await send().catch(async (thrown: unknown) => {
        if (!(thrown instanceof ControlRefusal) || !(await spec.again?.(thrown.problem, input, run))) throw thrown
        return send()
      })
      const answer = (body ?? {}) as Thing
      if (!options.json) context.out(spec.says?.(answer, run) ?? lines(answer))
      else if (body !== undefined) context.out(json(body))
      if (spec.aside !== undefined) context.say(`merlon: ${spec.aside(answer, run)}`)
      if (spec.exitCode !== undefined) exitWith(spec.exitCode(answer))
    }
  } catch (thrown) {
    throw explainRefusal(thrown, asked)
  } finally {
    await asking.control.close()
  }
}

function place(input: Mutable, where: string, value: string): void {
  const [part, field = ''] = where.split('.')
  if (part === 'body') input.body[field] = value
  else if (part === 'query') input.query[field] = value
  else input.params[field] = value
}

/** The parts that the operation takes, and no other. */
export function requestOf(name: string, { params, query, body, version }: Mutable): ControlInput {
  const operation = operationsByName.get(name)
  return {
    params,
    query,
    ...(operation?.body === undefined ? {} : { body }),
    ...(version === undefined ? {} : { version }),
  }
}

/** A field that has to be there and is not is a matter of the command line: nothing needs to be asked for that. */
function checkRequired(flags: readonly Flag[], input: Mutable, { first }: ControlCommand, title: string): void {
  for (const { part, field, flag, kind, required, secret } of flags) {
    if (!required || secret || input[part][field] !== undefined) continue
    const says =
      `${part}.${field}` === first
        ? `the ${field} is missing`
        : `required option '--${flag} ${takes[kind]}' not specified`
    throw new CliError(says, `\`${title} --help\` shows what it takes`, { exitCode: 2 })
  }
}

/** The id of a user who is named, by either. */
export async function userId(named: string, asking: Asking, options: Options): Promise<string> {
  const noun = { name: 'user', does: '', prefix: 'usr_', find: 'users.list', commands: [] }
  return (await lookUp(noun, named, asking, options, false)).id
}

/** The id that a word means: itself, or that of the one thing with this name. */
async function lookUp(
  noun: Noun,
  word: string,
  { control, local }: Asking,
  options: Options,
  whole: boolean,
): Promise<{ readonly id: string; readonly thing: Thing | undefined }> {
  if (noun.find === undefined || (noun.prefix !== undefined && word.startsWith(noun.prefix))) {
    if (!whole || noun.get === undefined) return { id: word, thing: undefined }
    const { body } = await control.call(noun.get, { params: { id: word } })
    return { id: word, thing: body as Thing }
  }
  const tenant = options.tenant ?? (local ? 'default' : undefined)
  const query = { name: word, ...(tenant === undefined ? {} : { tenant }) }
  const { body } = await control.call(noun.find, { query })
  const { items } = body as { items: readonly Thing[] }
  const [thing, other] = items
  if (thing === undefined) {
    const where = tenant === undefined ? '' : ` in ${tenant}`
    throw new CliError(
      `no ${noun.name} named ${word}${where}`,
      `\`merlon ${noun.name} list\` shows the ${noun.name}s you can see`,
    )
  }
  if (other !== undefined) {
    throw new CliError(`several tenants have a ${noun.name} named ${word}`, 'name the one that is meant with --tenant')
  }
  return { id: String(thing['id']), thing }
}

function labelOf(noun: Noun, thing: Thing | undefined, word: string | undefined): string {
  return thing === undefined || noun.label === undefined ? (word ?? '') : noun.label(thing)
}

/** A page as a table, or every page. What there is beyond it is said beside it. */
async function printList(
  { context, asking, options }: Run,
  { operation }: ControlCommand,
  columns: readonly Column[],
  input: Mutable,
): Promise<void> {
  const items: Thing[] = []
  let answer: { readonly items: readonly Thing[]; readonly next?: string }
  do {
    answer = (await asking.control.call(operation, requestOf(operation, input))).body as typeof answer
    items.push(...answer.items)
    if (answer.next !== undefined) input.query['cursor'] = answer.next
  } while (options.all && answer.next !== undefined)
  if (options.json) context.out(json({ ...answer, items }))
  else context.out(tableOf(columns, items))
  if (answer.next !== undefined && !options.json) {
    context.say(`merlon: there is more: --all shows it, or --after ${answer.next} the next page`)
  }
}

export function tableOf(columns: readonly Column[], things: readonly Thing[]): string {
  return table(
    columns.map(({ head }) => head),
    things.map((thing) => columns.map(({ of }) => cell(of(thing)))),
  )
}

/** A column that shows a member as it is. */
export function column(head: string, member: string): Column {
  return { head, of: (thing) => thing[member] }
}
