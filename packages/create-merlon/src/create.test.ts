import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { example, template, templatePaths } from '../make-template.ts'
import { createProject, Refusal } from './create.ts'

const workspace = fileURLToPath(new URL('../../../', import.meta.url))
const packageFolder = fileURLToPath(new URL('../', import.meta.url))
const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'create-merlon-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const refusal = (make: () => unknown): Refusal => {
  try {
    make()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the template', () => {
  test('is the example, file by file', () => {
    const ours = templatePaths()
    const theirs = templatePaths(template)
    expect(theirs.map(({ path }) => path)).toEqual(ours.map(({ stored }) => stored).sort())
    for (const { path, stored } of ours)
      expect(readFileSync(join(template, stored), 'utf8'), `run: npm run template -w create-merlon (${path})`).toBe(
        readFileSync(join(example, path), 'utf8'),
      )
  })

  test('depends on the merlon that is released with it', () => {
    const { version } = readJson(join(workspace, 'packages/merlon/package.json'))
    expect(readJson(join(template, 'package.json')).dependencies.merlon).toBe(version)
    expect(readJson(join(packageFolder, 'package.json')).version).toBe(version)
  })

  test('is packed whole', () => {
    const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: packageFolder,
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
      timeout: 30_000,
    })
    // npm 11 prints a list, later versions an object by package name.
    const printed = JSON.parse(listed)
    const [packed] = Array.isArray(printed) ? printed : Object.values(printed)
    const packedPaths = packed.files.map(({ path }: { path: string }) => path)
    expect(packedPaths).toEqual(expect.arrayContaining(templatePaths().map(({ stored }) => `template/${stored}`)))
  })
})

describe('a new project', () => {
  test('has the files of the example under its own name, and no placeholder', () => {
    const project = createProject({ folder: 'inner/my-agent', from: folder })
    expect(project).toBe(join(folder, 'inner/my-agent'))
    for (const { path } of templatePaths()) expect(existsSync(join(project, path)), path).toBe(true)
    expect(readJson(join(project, 'package.json')).name).toBe('my-agent')
    expect(readJson(join(project, 'merlon.config.json')).name).toBe('my-agent')
    const everything = templatePaths().map(({ path }) => readFileSync(join(project, path), 'utf8'))
    expect(everything.join('\n')).not.toMatch(
      /your[-_](?:key|secret|name|token)|change-?me|replace[-_ ]?me|TODO|placeholder/i,
    )
  })

  test('goes into an empty folder that is there', () => {
    mkdirSync(join(folder, 'my-agent'))
    expect(existsSync(join(createProject({ folder: 'my-agent', from: folder }), 'package.json'))).toBe(true)
  })

  test('never goes where something is', () => {
    mkdirSync(join(folder, 'full'))
    writeFileSync(join(folder, 'full', 'mine.txt'), 'mine')
    writeFileSync(join(folder, 'file'), 'mine')
    mkdirSync(join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'linked'))
    for (const name of ['full', 'file', 'linked']) {
      const { message } = refusal(() => createProject({ folder: name, from: folder }))
      expect(message).toBe(`${name} is there already and is not an empty folder`)
    }
  })

  test.each(['My-Agent', '-agent', '.agent', 'my agent', 'node_modules', 'a'.repeat(215), 'ägent'])(
    'is not named %j, and nothing is written',
    (name) => {
      expect(refusal(() => createProject({ folder: name, from: folder })).exitCode).toBe(2)
      expect(existsSync(join(folder, name))).toBe(false)
    },
  )
})

describe('the merlon it depends on', () => {
  const dependencyOf = (merlon: string) => {
    const project = createProject({ folder: 'my-agent', from: folder, merlon })
    return {
      merlon: readJson(join(project, 'package.json')).dependencies.merlon,
      npmrc: readFileSync(join(project, '.npmrc'), 'utf8'),
    }
  }

  test('can be another version', () => {
    expect(dependencyOf('0.9.1').merlon).toBe('0.9.1')
  })

  test('can be a tarball, named by its absolute path', () => {
    writeFileSync(join(folder, 'merlon.tgz'), '')
    const { merlon, npmrc } = dependencyOf('file:merlon.tgz')
    expect(merlon).toBe(`file:${join(folder, 'merlon.tgz')}`)
    expect(npmrc).not.toContain('install-links')
  })

  test('can be a folder, which is copied and not linked', () => {
    mkdirSync(join(folder, 'merlon'))
    const { merlon, npmrc } = dependencyOf('file:merlon')
    expect(merlon).toBe(`file:${join(folder, 'merlon')}`)
    expect(npmrc).toContain('install-links=true')
  })

  test.each(['file:missing.tgz', 'git+ssh://host/x', 'https://host/x.tgz', '', 'a b'])('is never %j', (merlon) => {
    refusal(() => createProject({ folder: 'my-agent', from: folder, merlon }))
    expect(existsSync(join(folder, 'my-agent'))).toBe(false)
  })
})

describe('the command', () => {
  const run = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageFolder, 'src/main.ts'), ...words], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 20_000,
    })
    return { status, stdout, stderr }
  }

  test('prints the next three commands', () => {
    expect(run('my-agent')).toEqual({
      status: 0,
      stdout: 'Made my-agent. Next:\n\n  cd my-agent\n  npm install\n  npm run dev\n',
      stderr: '',
    })
  })

  test('ends a refusal with the next thing to try', () => {
    expect(run('My-Agent')).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'create-merlon: "My-Agent" cannot be the name of a project\n' +
        'create-merlon: hint: use lower-case letters, digits, dots, dashes and underscores, as in my-agent\n',
    })
    expect(run('one', 'two').status).toBe(2)
    expect(run('--shell').stderr).toMatch(/^create-merlon: Unknown option '--shell'.*\ncreate-merlon: hint: .+\n$/)
  })

  test('says what is needed on a Node that is too old', () => {
    const old = `Object.defineProperty(process.versions, 'node', { value: '12.22.0' })
      Object.defineProperty(process, 'version', { value: 'v12.22.0' })
      require(${JSON.stringify(join(packageFolder, 'bin/create-merlon.cjs'))})`
    const { status, stderr } = spawnSync(process.execPath, ['-e', old], { encoding: 'utf8', timeout: 20_000 })
    expect(status).toBe(1)
    expect(stderr).toContain('create-merlon: Node.js 24 or newer is needed; this is v12.22.0')
  })
})
