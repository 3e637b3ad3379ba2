import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Runs the official conformance suite and judges what it found. */

export type Revision = '2025-11-25' | '2026-07-28'

/** One line of the suite's `checks.json`. */
export interface Check {
  readonly id: string
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  readonly description: string
  readonly errorMessage?: string
  readonly details?: unknown
}

/** Stricter than the suite, which takes a scenario that was skipped for one that passed. */
export function passed(checks: readonly Check[]): boolean {
  return checks.some(({ status }) => status === 'SUCCESS') && !checks.some(({ status }) => status === 'FAILURE')
}

/** What fell short of SUCCESS, in words for a failing test. */
export function complaints(checks: readonly Check[] | undefined): string[] {
  if (checks === undefined) return ['the suite did not run this scenario']
  const short = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING' || status === 'SKIPPED')
  if (checks.length === 0) return ['the suite made no check']
  return short.map(({ status, id, errorMessage, description }) => `${status} ${id}: ${errorMessage ?? description}`)
}

const program = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
)

/**
 * The checks of each scenario of a revision, the required ones and those that are run but not scored.
 * Rejects when the suite has not ended after `timeoutMs`.
 */
export async function runSuite(url: string, revision: Revision, timeoutMs: number): Promise<Map<string, Check[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-conformance-'))
  try {
    const suite = spawn(
      process.execPath,
      [program, 'server', '--url', url, '--requirements', revision, '--output-dir', folder],
      { stdio: 'ignore', timeout: timeoutMs, killSignal: 'SIGKILL' },
    )
    const [code, signal] = (await once(suite, 'exit')) as [number | null, NodeJS.Signals | null]
    // The suite ends with 1 when a scenario fails, which its files tell better.
    if (code !== 0 && code !== 1) throw new Error(`the suite ended with ${signal ?? `code ${code}`}`)
    const found = new Map<string, Check[]>()
    for (const entry of await readdir(folder)) {
      const name = /^server-(.+)-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/.exec(entry)?.[1]
      if (name === undefined) throw new Error(`the suite wrote a folder of unknown name: ${entry}`)
      found.set(name, await readChecks(join(folder, entry)))
    }
    return found
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A scenario that crashed leaves its folder without a file, and so without a check. */
async function readChecks(folder: string): Promise<Check[]> {
  if (!(await readdir(folder)).includes('checks.json')) return []
  return JSON.parse(await readFile(join(folder, 'checks.json'), 'utf8')) as Check[]
}
