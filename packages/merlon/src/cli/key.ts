import type { Command } from 'commander'
import { builtInScopes } from '../config/builtin-scopes.ts'
import { nearest } from '../config/near.ts'
import type { Config } from '../config/schema.ts'
import { type IssuedKey, type KeyRefusal, type Keys, localOperator } from '../identity/keys.ts'
import { type CliContext, CliError, loadProject, mustBeProject, type ProjectOption, withProject } from './context.ts'

interface CreateOptions extends ProjectOption {
  readonly name: string
  readonly scopes: string
  readonly expires?: string
  readonly user?: string
  readonly tenant?: string
  readonly json?: true
}

type Key = IssuedKey['key']

/** `key create`, `list`, `revoke`, `rotate`: the API keys of this installation, with or without a server running. */
export function registerKeyCommands(program: Command, context: CliContext): void {
  const key = program.command('key').description('make, list, rotate and revoke API keys')

  withProject(key.command('create'))
    .description('make a key; it is printed once')
    .requiredOption('--name <name>', 'what the key is for')
    .requiredOption('--scopes <list>', 'what it may do, such as read,write')
    .option('--expires <time>', 'its lifetime, such as 90d or 12h (default: authentication.keyLifetimeDays)')
    .option('--user <name>', 'the user it acts for (default: operator)')
    .option('--tenant <name>', 'the tenant of that user (default: default)')
    .option('--json', 'print JSON')
    .action((options: CreateOptions) => createKey(context, options))

  withProject(key.command('list'))
    .description('list the keys, without their secrets')
    .option('--tenant <name>', 'only those of this tenant')
    .option('--json', 'print JSON')
    .action((options: ProjectOption & { tenant?: string; json?: true }) =>
      withKeys(context, options, async (keys) => {
        const found = await allKeys(keys, options.tenant)
        context.out(options.json ? JSON.stringify(found.map(keyJson), null, 2) : keyTable(found, Date.now()))
      }),
    )

  withProject(key.command('revoke'))
    .description('revoke a key for good')
    .argument('<id>', 'its id, as `key list` shows it')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action((id: string, options: ProjectOption & { yes?: true; json?: true }) =>
      withKeys(context, options, async (keys) => {
        const found = (await allKeys(keys)).find((one) => one.id === id)
        if (found === undefined) throw refusal('key-unknown', { id })
        if (found.revokedAt === undefined) await mustConfirm(context, options, `Revoke ${id} (${found.name}) for good?`)
        const revoked = await keys.revokeKey(id, localOperator)
        if (!revoked.ok) throw refusal(revoked.reason, { id })
        context.out(options.json ? JSON.stringify(keyJson(revoked.key), null, 2) : `${id} is revoked`)
      }),
    )

  withProject(key.command('rotate'))
    .description('give a key a new secret; it is printed once, and the old one stays good for the grace')
    .argument('<id>', 'its id, as `key list` shows it')
    .option('--grace <time>', 'how long the old secret stays good; 0 for not at all', '24h')
    .option('--json', 'print JSON')
    .action((id: string, options: ProjectOption & { grace: string; json?: true }) =>
      withKeys(context, options, async (keys) => {
        const rotated = await keys.rotateKey(id, localOperator, options.grace)
        if (!rotated.ok) throw refusal(rotated.reason, { id })
        printKey(context, rotated, options)
      }),
    )
}

/** Makes a key and prints it: its text alone on stdout, so that a script can take it; all else beside it. */
export function createKey(context: CliContext, options: CreateOptions): Promise<void> {
  return withKeys(context, options, async (keys, config) => {
    const scopes = options.scopes.split(',').map((scope) => scope.trim())
    const { name, user = 'operator', tenant = 'default', expires } = options
    const made = await keys.createKey(
      { tenant, user, name, scopes, ...(expires === undefined ? {} : { lifetime: expires }) },
      localOperator,
    )
    if (!made.ok) throw refusal(made.reason, { name, user, config })
    const known = new Set([...builtInScopes, ...config.scopes])
    for (const scope of made.key.scopes.filter((one) => !known.has(one))) {
      const near = nearest(scope, known)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      context.say(`merlon: warning: ${scope} is not among the scopes of the configuration${hint}`)
    }
    printKey(context, made, options)
  })
}

function printKey(context: CliContext, { key, text }: IssuedKey, options: { readonly json?: true }): void {
  context.out(options.json ? JSON.stringify({ ...keyJson(key), text }, null, 2) : text)
  const until = new Date(key.expiresAt).toISOString()
  context.say(`merlon: ${key.id} (${key.name}) may ${key.scopes.join(', ')} until ${until}; it is shown this once`)
}

/** Opens the installation for the time of one command. */
export async function withKeys(
  context: CliContext,
  options: ProjectOption,
  work: (keys: Keys, config: Config) => Promise<void>,
): Promise<void> {
  const { project, config, secrets } = await loadProject(context, options, { warn: false })
  mustBeProject(project, config)
  const { openLocal } = await import('../app.ts')
  const { keys, makeFirstKey, close } = await openLocal(project, config, secrets)
  try {
    // The operator of a new installation comes with a first key. Nobody has seen this one, so it must not stand.
    const firstKey = await makeFirstKey()
    if (firstKey !== undefined) await keys.revokeKey(firstKey.key.id, localOperator)
    await work(keys, config)
  } finally {
    await close()
  }
}

async function allKeys(keys: Keys, tenant?: string): Promise<readonly Key[]> {
  const found: Key[] = []
  const limit = 1_000
  for (;;) {
    const after = found.at(-1)?.id
    const page = await keys.listKeys(
      { limit, ...(tenant === undefined ? {} : { tenant }), ...(after === undefined ? {} : { after }) },
      localOperator,
    )
    found.push(...page)
    if (page.length < limit) return found
  }
}

export async function mustConfirm(
  context: CliContext,
  { yes }: { readonly yes?: true },
  question: string,
): Promise<void> {
  if (yes || (await context.confirm(question))) return
  if (context.interactive) throw new CliError('nothing was changed')
  throw new CliError('it asks first, and nobody is here to answer', 'add --yes', { exitCode: 2 })
}

function keyJson({ id, tenant, name, scopes, createdAt, expiresAt, revokedAt, lastUsedAt }: Key) {
  return {
    id,
    tenant,
    name,
    scopes,
    createdAt: moment(createdAt),
    expiresAt: moment(expiresAt),
    revokedAt: moment(revokedAt),
    lastUsedAt: moment(lastUsedAt),
  }
}

function keyTable(keys: readonly Key[], now: number): string {
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(','),
    key.revokedAt !== undefined ? 'revoked' : key.expiresAt <= now ? 'expired' : 'active',
    moment(key.expiresAt) ?? '-',
    moment(key.lastUsedAt) ?? '-',
  ])
  const all = [['ID', 'NAME', 'SCOPES', 'STATE', 'EXPIRES', 'LAST USED'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function moment(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}

const listHint = '`merlon key list` shows the keys'

/** Why it was refused, in words, and the next thing to try. */
export function refusal(
  reason: KeyRefusal,
  { id = '', name = '', user = '', config }: { id?: string; name?: string; user?: string; config?: Config },
): CliError {
  switch (reason) {
    case 'name-malformed':
      return new CliError(
        'the name is not 1 to 64 letters, digits, spaces and ._@:/-, a letter or digit first',
        'try --name ci',
      )
    case 'name-taken':
      return new CliError(`there is a key named ${name}`, `choose another --name; ${listHint}`)
    case 'scope-malformed':
      return new CliError('the scopes are not a list of names', 'try --scopes read,write')
    case 'scope-beyond-yours':
      return new CliError('the scopes are more than may be granted here', 'ask for fewer')
    case 'lifetime-refused': {
      const most = config === undefined ? '' : `, at most ${config.authentication.keyLifetimeDaysMax}d`
      return new CliError(`the lifetime is not a time such as 90d, 12h or 30m${most}`, 'try --expires 90d')
    }
    case 'grace-refused':
      return new CliError('the grace is not a time such as 24h or 0, at most 7d', 'try --grace 24h')
    case 'user-unknown':
      return new CliError(`no user named ${user}`, `make one: merlon user create ${user || '<name>'} --role user`)
    case 'role-unknown':
      return new CliError('the configuration has no such role', '`merlon config show` lists the roles')
    case 'key-unknown':
      return new CliError(`no key named ${id}`, `${listHint} you can see`)
    case 'key-revoked':
      return new CliError(`${id} is revoked`, 'make a new one: merlon key create')
    case 'key-expired':
      return new CliError(`${id} has expired`, 'make a new one: merlon key create')
  }
}
