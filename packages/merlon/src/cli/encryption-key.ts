import { column, type Noun, type Thing, tableOf } from './control-command.ts'

const about = { words: ['<id>'], about: 'thing' } as const

export const encryptionKeyNoun: Noun = {
  name: 'encryption-key',
  does: 'see and change the keys that seal what is kept',
  commands: [
    {
      name: 'list',
      operation: 'encryption-keys.list',
      does: 'list the keys, of the installation and of each tenant',
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('PURPOSE', 'purpose'),
        column('STATE', 'state'),
        column('ROOT KEY', 'wrappedBy'),
        column('CREATED', 'createdAt'),
        column('REPLACED', 'replacedAt'),
        column('DESTROYED', 'destroyedAt'),
      ],
    },
    {
      name: 'rotate',
      operation: 'encryption-keys.rotate',
      does: 'seal with new keys from now on, and what was sealed before by and by',
      flags: {
        'body.tenant': { does: 'only the keys of this tenant' },
        'body.purpose': { does: 'only the keys for this' },
        'body.before': { does: 'only keys made before this, to go on where a rotation was cut short' },
      },
      says: ({ replaced }) => `${replaced} ${replaced === 1 ? 'key is' : 'keys are'} replaced`,
    },
    {
      name: 'rewrap',
      operation: 'encryption-keys.rewrap',
      does: 'put the next root key in the place of the present one',
      flags: { 'body.make': { does: 'make the next root key, where the present one is root.key in the data folder' } },
      question: () => 'Change the root key? Backups made before it need the present one: keep a copy beside them.',
      says: ({ rootKey, rewrapped }) => `${rewrapped} keys are wrapped by the root key ${rootKey} now`,
      aside: ({ place }) =>
        place === 'file'
          ? 'root.key is the new root key; put a copy where you keep the old one'
          : 'start every server with the new one alone now: as ENCRYPTION_KEY, without ENCRYPTION_KEY_NEXT',
    },
    {
      name: 'retire',
      operation: 'encryption-keys.retire',
      does: 'erase a replaced key that nothing needs',
      ...about,
      says: ({ id }) => `${id} is destroyed; nothing needed it`,
    },
    {
      name: 'destroy',
      operation: 'encryption-keys.destroy',
      does: 'erase a key at once, with what it sealed where --force says so',
      ...about,
      question: (id) => `Destroy ${id}? What it sealed can never be read again.`,
      says: ({ id, lost }) => `${id} is destroyed; ${lostText(lost as Readonly<Record<string, number>>)}`,
    },
    {
      name: 'verify',
      operation: 'encryption-keys.verify',
      does: 'open everything that is kept sealed, and say which key holds how much',
      says: verdictText,
      exitCode: ({ ok }) => (ok ? 0 : 1),
    },
  ],
}

function lostText(lost: Readonly<Record<string, number>>): string {
  const some = Object.entries(lost).filter(([, count]) => count > 0)
  if (some.length === 0) return 'nothing needed it'
  const told = some.map(([kind, count]) => `${count} ${count === 1 ? kind.replace(/s$/, '') : kind}`)
  const one = some.length === 1 && some[0]?.[1] === 1
  return `it had sealed ${told.join(', ')}, and ${one ? 'that is' : 'these are'} gone`
}

const columns = [
  column('ID', 'id'),
  column('TENANT', 'tenant'),
  column('PURPOSE', 'purpose'),
  column('STATE', 'state'),
  column('USABLE', 'usable'),
  column('RECORDS', 'records'),
  column('UNREADABLE', 'unreadable'),
]

function verdictText({ ok, items }: Thing): string {
  const found = items as readonly Thing[]
  const records = found.reduce((sum, { records }) => sum + Number(records), 0)
  return `${tableOf(columns, found)}\n${records} ${records === 1 ? 'record' : 'records'}, ${ok ? 'and every one opens' : 'and not every one opens'}`
}
