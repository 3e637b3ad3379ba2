import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockForServing } from './serving-lock.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('one process serves from a folder, and the next when it has stopped', () => {
  const first = lockForServing(folder)
  expect(() => lockForServing(folder)).toThrow(/another server serves from .*MERLON_STORE_FOLDER/)
  first.release()
  lockForServing(folder).release()
  expect(statSync(join(folder, 'serving.lock')).mode & 0o077).toBe(0)
})

test('a process that is killed leaves no lock behind', async () => {
  const module = join(import.meta.dirname, 'serving-lock.ts')
  const script = `import { lockForServing } from ${JSON.stringify(module)}
    lockForServing(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1_000)`
  const other = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(other.stdout, 'data')
  expect(() => lockForServing(folder)).toThrow('another server')
  other.kill('SIGKILL')
  await once(other, 'exit')
  lockForServing(folder).release()
})
