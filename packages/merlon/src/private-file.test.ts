import { chmodSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { secretFile, secretOpenToOthers } from './private-file.ts'

const service = 65_532

test.each([
  ['its owner alone', { mode: 0o600, owner: service }, false],
  ['its owner alone, to read', { mode: 0o400, owner: 0 }, false],
  ['a group, and it is the service’s own', { mode: 0o440, owner: service }, true],
  ['a group that root let read, as with fsGroup of Kubernetes', { mode: 0o440, owner: 0 }, false],
  ['a group that root lets write', { mode: 0o460, owner: 0 }, true],
  ['everybody, and it is root’s', { mode: 0o444, owner: 0 }, true],
  ['everybody, mounted by itself by an engine', { mode: 0o444, owner: 1_000, mounted: true }, false],
  ['everybody to write, mounted by itself', { mode: 0o666, owner: 0, mounted: true }, true],
  ['a group to write, mounted by itself', { mode: 0o620, owner: 0, mounted: true }, true],
  ['a group, of a system that names no owner', { mode: 0o440 }, true],
])('SC-01: a secret in a file for %s', (_, file, open) => {
  expect(secretOpenToOthers(file, service)).toBe(open)
})

test('SC-01: root could mend its own file, so it has to', () => {
  expect(secretOpenToOthers({ mode: 0o440, owner: 0 }, 0)).toBe(true)
})

test('a file elsewhere is not taken for one that an engine mounted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-secret-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'key')
  writeFileSync(path, 'x')
  chmodSync(path, 0o444)
  const file = secretFile(path, fstatSync(openSync(path, 'r')))
  expect(file).toEqual({ mode: 0o444, owner: process.getuid?.(), mounted: false })
  expect(secretOpenToOthers(file)).toBe(true)
})
