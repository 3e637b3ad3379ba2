import type { FileRole } from '../facts.ts'
import { type Rule, saidByLoader } from '../rule.ts'

const open = (roles: readonly FileRole[], bits: number, says: string, command: string): Pick<Rule, 'check'> => ({
  check: ({ files }) =>
    (files?.placed ?? [])
      .filter(({ role, mode }) => roles.includes(role) && (mode & bits) !== 0)
      .map(({ path }) => ({ where: path, says, fix: `Run ${command} ${path}` })),
})

/** Files that only the user of the server should own. */
const owned: ReadonlySet<FileRole> = new Set(['data folder', 'root key', 'database', 'environment file', 'private key'])

/** Who can read and change what the server trusts. */
export const fileRules: readonly Rule[] = [
  {
    id: 'CA-601',
    title: 'Nobody else can change the configuration.',
    severity: 'fatal',
    why: 'Whoever writes the settings decides who may call.',
    fix: 'Run chmod o-w on the file.',
    source: ['ASVS 5.0 V13.3.2'],
    check: saidByLoader('CA-601'),
  },
  {
    id: 'CA-602',
    title: 'A .env with secrets is private.',
    severity: 'fatal',
    why: 'What every user of the machine can read is known to every program on it.',
    fix: 'Run chmod 600 .env, and make new secrets if others were there.',
    source: ['ASVS 5.0 V13.3.2', 'OWASP MCP01'],
    check: saidByLoader('CA-602'),
  },
  {
    id: 'CA-603',
    title: 'Nobody else can write to the data folder.',
    severity: 'fatal',
    why: 'A root key, a database or a log could be put in the place of the right one.',
    fix: 'Run chmod go-w on the folder.',
    source: ['ASVS 5.0 V13.3.2', 'ASVS 5.0 V16.4.2'],
    ...open(['data folder'], 0o022, 'others can write to it', 'chmod go-w'),
  },
  {
    id: 'CA-604',
    title: 'Nobody else can look into the data folder.',
    severity: 'medium',
    why: 'Names, sizes and times tell, and a copy made there is as open as the folder.',
    fix: 'Run chmod 700 on the folder.',
    source: ['ASVS 5.0 V13.3.2'],
    ...open(['data folder'], 0o055, 'others can look into it', 'chmod 700'),
  },
  {
    id: 'CA-605',
    title: 'The root key is private.',
    severity: 'fatal',
    why: 'Every other key is derived from it.',
    fix: 'Run chmod 600 on it. If others were there, it is known.',
    source: ['ASVS 5.0 V13.3.2', 'OWASP MCP01'],
    ...open(['root key'], 0o077, 'others can read or change it', 'chmod 600'),
  },
  {
    id: 'CA-606',
    title: 'The database is private.',
    severity: 'fatal',
    why: 'It holds who may call, and the digests of their keys.',
    fix: 'Run chmod 600 on it.',
    source: ['ASVS 5.0 V13.3.2'],
    ...open(['database'], 0o077, 'others can read or change it', 'chmod 600'),
  },
  {
    id: 'CA-607',
    title: 'What lies beside the database is private.',
    severity: 'high',
    why: 'Its write-ahead log and its copies hold the same rows.',
    fix: 'Run chmod 600 on each.',
    source: ['ASVS 5.0 V13.3.2'],
    ...open(['file beside the database'], 0o077, 'others can read or change it', 'chmod 600'),
  },
  {
    id: 'CA-608',
    title: 'Secrets belong to the user of the server.',
    severity: 'high',
    why: 'The owner of a file can open it to others at any time.',
    fix: 'Run chown on the file for the user of the server.',
    source: ['ASVS 5.0 V13.3.2'],
    check: ({ files, process: { user } }) =>
      user === undefined
        ? []
        : (files?.placed ?? [])
            // Root may change everything anyway, and a secret is often mounted as its file.
            .filter(({ role, owner }) => owned.has(role) && owner !== user && owner !== 0 && user !== 0)
            .map(({ path, owner }) => ({ where: path, says: `belongs to user ${owner}` })),
  },
  {
    id: 'CA-609',
    title: 'The group cannot change the configuration.',
    severity: 'medium',
    why: 'Whoever writes the settings decides who may call.',
    fix: 'Run chmod g-w on the file.',
    source: ['ASVS 5.0 V13.3.2'],
    ...open(['configuration', 'environment file'], 0o020, 'its group can change it', 'chmod g-w'),
  },
  {
    id: 'CA-610',
    title: 'Nobody else can put a tool into the project.',
    severity: 'high',
    why: 'Every file in the folder runs with all that the server may do.',
    fix: 'Run chmod o-w on the folder.',
    source: ['OWASP MCP04', 'OWASP MCP03'],
    ...open(['project folder', 'catalog folder'], 0o002, 'every user can write to it', 'chmod o-w'),
  },
  {
    id: 'CA-611',
    title: 'No secret is in the repository.',
    severity: 'high',
    why: 'Whoever has a copy of the repository has the secret, in its history too.',
    fix: 'Run git rm --cached on it, add it to .gitignore, and make a new secret: the old one stays in the history.',
    source: ['ASVS 5.0 V13.3.1', 'OWASP MCP01'],
    check: ({ files }) => (files?.tracked ?? []).map((path) => ({ where: path, says: 'git follows it' })),
  },
  {
    id: 'CA-612',
    title: 'Git leaves secrets out.',
    severity: 'low',
    why: 'One `git add .` is enough to publish them.',
    fix: 'Add .env and the data folder to .gitignore.',
    source: ['ASVS 5.0 V13.3.1'],
    check: ({ files, config }) => {
      const { ignored } = files ?? {}
      if (ignored === undefined) return []
      const wanted = ['.env', ...(config.store.folder.startsWith('/') ? [] : [config.store.folder])]
      return wanted
        .filter((name) => !leavesOut(ignored, name))
        .map((name) => ({ where: '.gitignore', says: `does not name ${name}` }))
    },
  },
]

/** Whether an ignore file leaves it out: by its name, or as everything. A pattern that covers it in another way is asked to name it. */
export function leavesOut(lines: readonly string[], name: string): boolean {
  const bare = (text: string) => text.replace(/^(?:\*\*\/|\.?\/)/, '').replace(/\/$/, '')
  const covers = (line: string) =>
    bare(line) === bare(name) || line === '*' || line === '**' || (name === '.env' && /^\.env\.?\*$/.test(bare(line)))
  // The last line that speaks of it counts; `!` takes it back in.
  return lines.findLast((line) => covers(line.replace(/^!/, '')))?.startsWith('!') === false
}
