import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'

/** Where and with what a result was made. Names no person, host or path. */
export interface Machine {
  readonly date: string
  readonly commit: string
  /** Whether files that git knows differ from `commit`. */
  readonly changed: boolean
  readonly node: string
  readonly kernel: string
  readonly cpu: string
  readonly cores: number
  /** Processes that wanted a core, on average over the minute before: above 0 the machine was shared. */
  readonly loadBefore: number
  readonly versions: Readonly<Record<string, string>>
}

function git(home: string, ...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}

export function describeMachine(home: string): Machine {
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git(home, 'rev-parse', '--short', 'HEAD') || 'none',
    changed: git(home, 'status', '--porcelain', '--untracked-files=no') !== '',
    node: process.version,
    // A build of its own would tell where this machine stands, and nothing of what was measured.
    kernel: /^\d+\.\d+/.exec(release())?.[0] ?? 'unknown',
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    loadBefore: Math.round(loadavg()[0]! * 100) / 100,
    versions: manifest.dependencies,
  }
}

/** Whether processes can be kept on one core each: two cores, and `taskset`. */
export function canPin(): boolean {
  if (cpus().length < 2) return false
  try {
    execFileSync('taskset', ['-c', '1', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
