import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { linkModules } from './project.ts'
import { playCommand, readSession } from './session.ts'

/**
 * Each file in sessions/ is what a person typed and saw: a line with `$` is given to a shell in an empty project folder,
 * the lines after it are what it printed, and `[1]` is its exit code where that is not zero.
 */
const sessions = join(import.meta.dirname, 'sessions')

describe.each(readdirSync(sessions))('%s', (name) => {
  test('goes as it is written', { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'merlon-transcript-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const bin = join(folder, 'bin')
    const project = join(folder, 'project')
    mkdirSync(bin)
    mkdirSync(project)
    const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')
    writeFileSync(join(bin, 'merlon'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, { mode: 0o755 })
    linkModules(project)

    const written = readSession(readFileSync(join(sessions, name), 'utf8'))
    const played = written.map(({ command }) => playCommand(command, { project, bin }))
    expect(played.join('\n')).toBe(written.map(({ text }) => text).join('\n'))
  })
})
