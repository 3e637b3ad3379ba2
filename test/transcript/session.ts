import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** One command of a session: what is given to the shell, and the whole passage as it is written. */
export interface Passage {
  readonly command: string
  readonly text: string
}

/** Splits a session at its `$` lines. A `>` line continues the command before it. */
export function readSession(session: string): readonly Passage[] {
  return session
    .trimEnd()
    .split(/\n(?=\$ )/)
    .map((text) => {
      const lines = text.split('\n')
      const typed = lines.slice(0, lengthOfCommand(lines))
      return { command: typed.map((line) => line.slice(2)).join('\n'), text }
    })
}

function lengthOfCommand(lines: readonly string[]): number {
  const end = lines.findIndex((line, index) => index > 0 && !(line === '>' || line.startsWith('> ')))
  return end === -1 ? lines.length : end
}

/** Where a session is played. */
export interface Stage {
  readonly project: string
  /** The folder that `merlon` is in. */
  readonly bin: string
  /** What the session may name, as `$CONTROL`; an address that is printed is written as its name again. */
  readonly names?: Readonly<Record<string, string>>
}

/** Runs the command and writes the passage anew: the command, what it printed, its exit code. */
export async function playCommand(command: string, { project, bin, names = {} }: Stage): Promise<string> {
  const child = spawn('sh', ['-c', `{ ${command}\n} 2>&1`], {
    cwd: project,
    timeout: 30_000,
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: project, ...names },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  const [first, ...rest] = command.split('\n')
  return [
    `$ ${first}`,
    ...rest.map((line) => `> ${line}`.trimEnd()),
    ...(printed === '' ? [] : [steady(printed.replace(/\n$/, ''), { project, bin, names })]),
    ...(status === 0 ? [] : [`[${status ?? 'killed'}]`]),
  ].join('\n')
}

/** What differs from run to run, in a form that does not. */
function steady(text: string, { project, names = {} }: Stage): string {
  const named = Object.entries(names)
    .filter(([, value]) => value.startsWith('http'))
    .reduce((all, [name, value]) => all.replaceAll(value, `$${name}`), text)
  return named
    .replaceAll(project, '/project')
    .replace(/\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/g, 'mrl_…')
    .replace(/\b(key|usr|agt|sgn|blk)_[0-9A-Za-z]{12}\b/g, '$1_…')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '<time>')
    .replace(/=[A-Za-z0-9_-]{43}\b/g, '=<secret>')
}
