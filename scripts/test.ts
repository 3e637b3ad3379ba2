import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/*
 * Everything that must hold before a change lands: format and lint, types, the build, and every test. Words after the
 * command are handed to vitest, and then only those tests run. Ends with one line: N passed, N failed.
 */

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly success: boolean
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly unknown[]
  }[]
}

const only = process.argv.slice(2)
let passed = 0
let failed = 0
let skipped = 0

const run = (name: string, command: string, args: readonly string[]): boolean => {
  console.log(`\n> ${name}`)
  return spawnSync(command, args, { stdio: 'inherit' }).status === 0
}

const step = (name: string, command: string, args: readonly string[]): void => {
  if (run(name, command, args)) passed++
  else {
    failed++
    console.error(`${name} failed`)
  }
}

if (only.length === 0) {
  step('format and lint', 'biome', ['check', '.'])
  step('types', 'tsc', ['-p', 'tsconfig.json'])
}
step('build', 'tsc', ['-b', 'packages/merlon', 'packages/create-merlon'])

const folder = mkdtempSync(join(tmpdir(), 'merlon-test-'))
const file = join(folder, 'report.json')
const green = run('tests', 'vitest', [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${file}`,
  ...only,
])
try {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  passed += report.numPassedTests
  failed += report.numFailedTests
  skipped += report.numPendingTests + report.numTodoTests
  // A file that fails before its first test counts as one failure, or it would not be seen in the sum.
  failed += report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length
  if (!green && failed === 0) failed++
  if (report.numPassedTests === 0) failed++
} catch (error) {
  console.error(`the tests left no report: ${error instanceof Error ? error.message : String(error)}`)
  failed++
} finally {
  rmSync(folder, { recursive: true, force: true })
}

console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed === 0 ? 0 : 1
