import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { givenCredential } from './credential.ts'
import { mustHaveSecret, mustHaveTwo } from './secret-input.ts'
import { silentContext } from './silent-context.fixture.ts'

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'merlon-secret-'))
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

const words = { word: 'password', question: 'New password', twice: true } as const

/** A person who types these lines, one at each question. */
function typing(...lines: string[]) {
  const asked: string[] = []
  const context = silentContext({
    cwd,
    interactive: true,
    async askSecret(question) {
      asked.push(question)
      return lines.shift() ?? ''
    },
  })
  return { context, asked }
}

function file(name: string, text: string, mode = 0o600): string {
  writeFileSync(join(cwd, name), text)
  chmodSync(join(cwd, name), mode)
  return name
}

describe('AD-11: a secret comes from a person, from standard input or from a private file', () => {
  test('it is typed twice where nobody can look at it again', async () => {
    const { context, asked } = typing('correct horse', 'correct horse')
    expect(await mustHaveSecret(context, {}, words)).toBe('correct horse')
    expect(asked).toEqual(['New password: ', 'Again: '])
    const slip = typing('correct horse', 'correct house')
    await expect(mustHaveSecret(slip.context, {}, words)).rejects.toThrow('the two are not the same')
  })

  test('standard input holds one line, and nothing is taken off it but its end', async () => {
    const input = (text: string) => silentContext({ readInput: async () => text })
    expect(await mustHaveSecret(input(' a b \n'), { passwordStdin: true }, words)).toBe(' a b ')
    expect(await mustHaveSecret(input('a\r\n'), { passwordStdin: true }, words)).toBe('a')
    for (const text of ['', '\n', 'a\nb\n', 'a\rb']) {
      await expect(mustHaveSecret(input(text), { passwordStdin: true }, words)).rejects.toThrow(
        'standard input does not hold one line with the secret',
      )
    }
  })

  test('a file that others can read is refused, and one that is not there', async () => {
    const context = silentContext({ cwd })
    expect(await mustHaveSecret(context, { passwordFile: file('good', 'hidden\n') }, words)).toBe('hidden')
    for (const mode of [0o640, 0o604, 0o620]) {
      await expect(mustHaveSecret(context, { passwordFile: file('open', 'x', mode) }, words)).rejects.toThrow(
        'open holds a secret and other users can read it',
      )
    }
    await expect(mustHaveSecret(context, { passwordFile: 'none' }, words)).rejects.toThrow('none cannot be read')
  })

  test('without anybody to ask it is said how it may be given, and two ways at once are none', async () => {
    const context = silentContext({ cwd })
    await expect(mustHaveSecret(context, {}, words)).rejects.toMatchObject({
      message: 'no password was given',
      exitCode: 2,
    })
    const both = { passwordStdin: true, passwordFile: 'x' }
    await expect(mustHaveSecret(context, both, words)).rejects.toMatchObject({ exitCode: 2 })
  })

  test('two secrets are two questions, or two lines', async () => {
    const pair = [{ word: 'password', question: 'Present password' }, words] as const
    const { context, asked } = typing('old', 'new', 'new')
    expect(await mustHaveTwo(context, {}, pair)).toEqual(['old', 'new'])
    expect(asked).toEqual(['Present password: ', 'New password: ', 'Again: '])
    const input = (text: string) => silentContext({ readInput: async () => text })
    expect(await mustHaveTwo(input('old\nnew\n'), { passwordStdin: true }, pair)).toEqual(['old', 'new'])
    for (const text of ['old\n', 'old\nnew\nmore\n', '\nnew\n']) {
      await expect(mustHaveTwo(input(text), { passwordStdin: true }, pair)).rejects.toThrow('does not hold two lines')
    }
  })
})

describe('the credential for a control plane elsewhere', () => {
  test('a file is over the environment, and the environment over a question', async () => {
    const env = { MERLON_TOKEN: 'ey.from.environment' }
    const credentialFile = file('key', 'mrl_from_file\n')
    expect(await givenCredential(silentContext({ cwd, env }), { credentialFile })).toBe('mrl_from_file')
    expect(await givenCredential(silentContext({ env }), {})).toBe('ey.from.environment')
    const { context, asked } = typing('mrl_typed')
    expect(await givenCredential(context, {})).toBe('mrl_typed')
    expect(asked).toEqual(['Control key or token: '])
  })

  test('two in the environment are none, since one of them was not meant', async () => {
    const env = { MERLON_CONTROL_KEY: 'mrl_a', MERLON_TOKEN: 'ey' }
    await expect(givenCredential(silentContext({ env }), {})).rejects.toMatchObject({
      message: 'MERLON_CONTROL_KEY and MERLON_TOKEN are both set',
      exitCode: 2,
    })
  })

  test('what could not stand in a header is no credential, and is not repeated', async () => {
    const env = { MERLON_TOKEN: 'hidden\r\nX-Other: 1' }
    const refused = await givenCredential(silentContext({ env }), {}).catch((thrown: Error) => thrown.message)
    expect(refused).toBe('MERLON_TOKEN holds no credential')
  })

  test('nobody to ask and nothing given is said', async () => {
    await expect(givenCredential(silentContext(), {})).rejects.toMatchObject({ exitCode: 2 })
    await expect(givenCredential(typing('').context, {})).rejects.toMatchObject({ exitCode: 2 })
  })
})
