import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { watchFolder } from './folder-watcher.ts'

let root = ''
let close = () => {}
let heard = new Set<string | undefined>()
let listening = () => {}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'merlon-watch-'))
  mkdirSync(join(root, 'tools'))
  writeFileSync(file('tools/a.ts'), '1')
  heard = new Set()
  const watching = watchFolder(
    root,
    (path) => {
      heard.add(path)
      listening()
    },
    (error) => {
      throw error
    },
  )
  close = () => watching.close()
})
afterEach(() => {
  close()
  rmSync(root, { recursive: true, force: true })
})

function file(path: string): string {
  return join(root, path)
}

/** Makes a change, and waits until it is told of. */
async function told(path: string, change: () => void): Promise<void> {
  heard.clear()
  const { promise, resolve } = Promise.withResolvers<void>()
  listening = () => {
    if (heard.has(path)) resolve()
  }
  change()
  await promise
}

/** As an editor does it that never leaves a half-written file. */
function replace(path: string): void {
  writeFileSync(file('.new'), '2')
  renameSync(file('.new'), file(path))
}

test('a file that was replaced, as editors do when they save, is still followed', async () => {
  await told('tools/a.ts', () => writeFileSync(file('tools/a.ts'), '2'))
  await told('tools/a.ts', () => replace('tools/a.ts'))
  await told('tools/a.ts', () => writeFileSync(file('tools/a.ts'), '3'))
  await told('tools/a.ts', () => replace('tools/a.ts'))
  await told('tools/a.ts', () => rmSync(file('tools/a.ts')))
})

test('a folder that comes later, or is replaced, is followed', async () => {
  await told('tools/deep', () => mkdirSync(file('tools/deep')))
  await told('tools/deep/b.ts', () => writeFileSync(file('tools/deep/b.ts'), '1'))
  await told('tools', () => renameSync(file('tools'), file('old')))
  await told('tools', () => mkdirSync(file('tools')))
  await told('tools/c.ts', () => writeFileSync(file('tools/c.ts'), '1'))
})
