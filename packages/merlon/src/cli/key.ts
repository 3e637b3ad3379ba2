import { builtInScopes } from '../config/builtin-scopes.ts'
import { nearest } from '../config/near.ts'
import { type ControlCommand, column, type Mutable, type Noun, type Run, type Thing } from './control-command.ts'

const about = { words: ['<id>'], about: 'thing' } as const
const lifetime = { flag: 'expires', does: 'its lifetime, such as 90d or 12h' }

/** A new secret: its text alone on stdout, so that a script can take it; all else beside it. */
const issued = {
  says: ({ key }: Thing) => String(key),
  aside: ({ id, name, scopes, expiresAt }: Thing) =>
    `${id} (${name}) may ${(scopes as string[]).join(', ')} until ${expiresAt}; it is shown this once`,
}

/** Makes a key. The local operator is no user, so a key of theirs acts for the user `operator`. */
export const createKey: ControlCommand = {
  name: 'create',
  operation: 'api-keys.create',
  does: 'make a key; it is printed once',
  flags: {
    'body.name': { does: 'what the key is for' },
    'body.scopes': { does: 'what it may do, such as read,write' },
    'body.use': { does: 'the door that it opens: mcp, or control for the control plane (default: mcp)' },
    'body.lifetime': lifetime,
    'body.user': { does: 'the name of the user it acts for (default: you)' },
    'body.tenant': { does: 'the tenant of that user' },
    'body.owner': { does: 'the same by id' },
    'body.agent': { does: 'the agent it acts for, by id' },
    'body.addressRanges': { does: 'where it may be used from, such as 10.0.0.0/8 (default: anywhere)' },
  },
  prepare: ({ body }: Mutable, run) => {
    if (run.asking.local && body['owner'] === undefined && body['agent'] === undefined) body['user'] ??= 'operator'
    warnOfScopes(body['scopes'], run)
  },
  ...issued,
}

function warnOfScopes(scopes: unknown, { asking: { config }, context }: Run): void {
  if (config === undefined || !Array.isArray(scopes)) return
  const known = new Set([...builtInScopes, ...config.scopes])
  for (const scope of scopes.filter((one) => !known.has(one))) {
    const near = nearest(scope, known)
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    context.say(`merlon: warning: ${scope} is not among the scopes of the configuration${hint}`)
  }
}

export const keyNoun: Noun = {
  name: 'key',
  does: 'make, list, change, rotate and revoke API keys',
  prefix: 'key_',
  get: 'api-keys.get',
  label: ({ id, name }) => `${id} (${name})`,
  commands: [
    createKey,
    {
      name: 'list',
      operation: 'api-keys.list',
      does: 'list the keys, without their secrets',
      flags: {
        'query.user': { does: 'only those of the user of this name' },
        'query.tenant': { does: 'only those of this tenant' },
        'query.owner': { does: 'only those of the user of this id' },
        'query.agent': { does: 'only those of this agent' },
      },
      columns: [
        column('ID', 'id'),
        column('NAME', 'name'),
        column('SCOPES', 'scopes'),
        { head: 'STATE', of: state },
        column('EXPIRES', 'expiresAt'),
        column('LAST USED', 'lastUsed'),
        column('USE', 'use'),
        { head: 'OF', of: ({ owner, agent }) => agent ?? owner },
        column('TENANT', 'tenant'),
      ],
    },
    { name: 'show', operation: 'api-keys.get', does: 'show a key, without its secret', ...about },
    {
      name: 'update',
      operation: 'api-keys.update',
      does: 'change a key',
      ...about,
      flags: {
        'body.name': { does: 'what the key is for' },
        'body.scopes': { does: 'what it may do' },
        'body.addressRanges': { does: 'where it may be used from' },
        'body.isActive': { flag: 'active', does: 'switch it on' },
        'body.lifetime': { ...lifetime, does: 'its lifetime from now, such as 90d or 12h' },
      },
      says: ({ id }) => `${id} is changed`,
    },
    {
      name: 'rotate',
      operation: 'api-keys.regenerate',
      does: 'give a key a new secret; it is printed once, and the old one stays good for the grace',
      ...about,
      flags: { 'body.grace': { does: 'how long the old secret stays good; 0 for not at all (default: 24h)' } },
      ...issued,
    },
    {
      name: 'revoke',
      operation: 'api-keys.revoke',
      does: 'revoke a key for good',
      ...about,
      question: (label, key) => (key?.['revokedAt'] === undefined ? `Revoke ${label} for good?` : undefined),
      says: (_, { words }) => `${words[0]} is revoked`,
    },
    {
      name: 'validate',
      operation: 'api-keys.validate',
      does: 'say whether a text is the present secret of a key that you can see',
      secret: { word: 'key', question: 'Key' },
      says: ({ valid, apiKey }) =>
        valid ? `it is ${(apiKey as Thing)['id']} (${(apiKey as Thing)['name']})` : 'it is no key that is good here',
      exitCode: ({ valid }) => (valid ? 0 : 1),
    },
  ],
}

function state({ revokedAt, expiresAt, isActive }: Thing): string {
  if (revokedAt !== undefined) return 'revoked'
  if (Date.parse(String(expiresAt)) <= Date.now()) return 'expired'
  return isActive ? 'active' : 'off'
}
