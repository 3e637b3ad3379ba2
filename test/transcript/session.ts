import { spawnSync } from 'node:child_process'

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

/** Runs the command and writes the passage anew: the command, what it printed, its exit code. */
export function playCommand(command: string, { project, bin }: { project: string; bin: string }): string {
  const { stdout, status } = spawnSync('sh', ['-c', `{ ${command}\n} 2>&1`], {
    cwd: project,
    encoding: 'utf8',
    timeout: 30_000,
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: project },
  })
  const [first, ...rest] = command.split('\n')
  return [
    `$ ${first}`,
    ...rest.map((line) => `> ${line}`.trimEnd()),
    ...(stdout === '' ? [] : [steady(stdout.replace(/\n$/, ''), project)]),
    ...(status === 0 ? [] : [`[${status ?? 'killed'}]`]),
  ].join('\n')
}

/** What differs from run to run, in a form that does not. */
function steady(text: string, project: string): string {
  return text
    .replaceAll(project, '/project')
    .replace(/\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/g, 'mrl_…')
    .replace(/\b(key|usr)_[0-9A-Za-z]{12}\b/g, '$1_…')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '<time>')
    .replace(/=[A-Za-z0-9_-]{43}\b/g, '=<secret>')
}
