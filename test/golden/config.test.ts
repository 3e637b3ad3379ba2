import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain } from '../../packages/merlon/src/config/explain.ts'
import { loadConfig } from '../../packages/merlon/src/config/load.ts'
import { ConfigError } from '../../packages/merlon/src/config/problem.ts'

/**
 * Each folder in config/ is a case: a configuration file as it was given, perhaps `environment.json`, and what it comes
 * to: `effective.json` (the settings that are not at their default, with the warnings) or `refused.txt`. Given files end
 * in `.given`, so that no formatter moves their lines.
 */
const cases = join(import.meta.dirname, 'config')

let copies = ''
beforeAll(() => {
  copies = mkdtempSync(join(tmpdir(), 'merlon-golden-'))
  for (const name of readdirSync(cases)) {
    mkdirSync(join(copies, name))
    for (const file of readdirSync(join(cases, name))) {
      if (!file.endsWith('.given')) continue
      const text = readFileSync(join(cases, name, file))
      writeFileSync(join(copies, name, file.replace(/\.given$/, '')), text, { mode: 0o600 })
    }
  }
})
afterAll(() => rmSync(copies, { recursive: true, force: true }))

describe.each(readdirSync(cases))('%s', (name) => {
  test('comes to what stands beside it', () => {
    const folder = join(cases, name)
    const project = join(copies, name)
    const env = existsSync(join(folder, 'environment.json')) ? readJson(join(folder, 'environment.json')) : {}
    const outcome = effect(project, env)
    if (existsSync(join(folder, 'refused.txt'))) {
      expect(outcome).toBe(readFileSync(join(folder, 'refused.txt'), 'utf8'))
    } else expect(outcome).toEqual(readJson(join(folder, 'effective.json')))
  })
})

function effect(project: string, env: Record<string, string>): unknown {
  try {
    const loaded = loadConfig({ project, env })
    const settings = explain(loaded).filter(({ from }) => from !== 'default')
    return {
      settings: Object.fromEntries(settings.map(({ setting, value, from }) => [setting, { value, from }])),
      warnings: loaded.warnings,
    }
  } catch (thrown) {
    if (thrown instanceof ConfigError) return `${thrown.message}\n`
    throw thrown
  }
}

function readJson(path: string): Record<string, string> {
  return JSON.parse(readFileSync(path, 'utf8'))
}
