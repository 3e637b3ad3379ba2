import { argon2Sync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isCommonPassword } from './common-passwords.ts'
import { Passwords, passwordCost } from './passwords.ts'

const cheap = { memoryKib: 8, passes: 1, lanes: 1 }
const passwords = new Passwords({ random: randomBytes, cost: cheap })
const good = async (password: string, digest: string | undefined) => (await passwords.verify(password, digest)).good

describe('passwords', () => {
  it('CR-09: cost by default what OWASP asks of argon2id at the least, and say so in the PHC format', async () => {
    expect(passwordCost).toEqual({ memoryKib: 19_456, passes: 2, lanes: 1 })
    const salt = Buffer.alloc(16, 7)
    const digest = await new Passwords({ random: () => salt }).hash('correct horse')
    const tag = argon2Sync('argon2id', {
      ...{ message: 'correct horse', nonce: salt, parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 },
    })
    const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
    expect(digest).toBe(`$argon2id$v=19$m=19456,t=2,p=1$${text(salt)}$${text(tag)}`)
  })

  it('are recognised, and no other text is', async () => {
    const digest = await passwords.hash('correct horse')
    expect(digest).not.toBe(await passwords.hash('correct horse'))
    expect(await good('correct horse', digest)).toBe(true)
    for (const wrong of ['correct hors', 'correct horse ', 'Correct horse', '', 'correct horse\0', '\ud800'])
      expect(await good(wrong, digest), wrong).toBe(false)
    for (const thing of [undefined, null, 7, ['correct horse'], { $gt: '' }] as unknown as string[])
      expect(await good(thing, digest)).toBe(false)
  })

  it('are the same however a keyboard composes them', async () => {
    expect(await good('cafe\u0301 au lait', await passwords.hash('caf\u00e9 au lait'))).toBe(true)
  })

  it('are never right where there is no digest, whatever is shown', async () => {
    expect(await good('', undefined)).toBe(false)
    expect(await good('correct horse', undefined)).toBe(false)
  })

  it('CR-09: are stale where their digest cost less or more than those made now', async () => {
    const digest = await passwords.hash('correct horse')
    const dearer = new Passwords({ random: randomBytes, cost: { ...cheap, passes: 2 } })
    expect(await dearer.verify('correct horse', digest)).toEqual({ good: true, stale: true })
    expect(await passwords.verify('correct horse', digest)).toEqual({ good: true, stale: false })
  })

  it('fail loudly on a digest that is none: it is no wrong password', async () => {
    for (const broken of ['', 'plain', '$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA', '$2b$10$x'])
      await expect(passwords.verify('correct horse', broken)).rejects.toThrow('PHC')
  })

  it('wait for their turn, so many at once, and are refused when too many wait', async () => {
    const few = new Passwords({ random: randomBytes, cost: cheap, atOnce: 2, waitingMax: 3 })
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () =>
        few.hash('correct horse').then(
          () => 'done',
          (fault) => fault.code,
        ),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(5)
    expect(outcomes.filter((outcome) => outcome === 'capacity.exceeded')).toHaveLength(3)
    expect(await few.hash('correct horse')).toContain('$argon2id$')
  })

  it.each([
    ['1234567', 'password-length'],
    ['\u{1f600}'.repeat(7), 'password-length'],
    ['x'.repeat(1_025), 'password-length'],
    [`${'ab\ud800'}cdefgh`, 'password-length'],
    ['password', 'password-common'],
    ['PASSWORD1!', 'password-common'],
    ['aaaaaaaaaaaa', 'password-common'],
    ['abababababab', 'password-common'],
    ['ann-lee-2024', 'password-common'],
    ['Example99', 'password-common'],
    ['acmeacme1', 'password-common'],
    ['tangerine kayak', undefined],
    ['ann keeps 12 bees', undefined],
    ['\u{1f600}\u{1f601}\u{1f602}\u{1f603}\u{1f604}\u{1f605}\u{1f606}\u{1f607}', undefined],
    [`the quick brown fox ${'and '.repeat(200)}`, undefined],
  ])('CR-09: %j as a new one: %s', async (password, weakness) => {
    expect(await passwords.weakness(password, ['Ann Lee', 'ann.lee@example.com', 'acme', undefined])).toBe(weakness)
  })

  it('CR-09: are held to a list of common ones, in any letters', () => {
    for (const common of ['password', 'iloveyou', 'QwertyUiop', 'football', 'trustno1', 'sunshine']) {
      expect(isCommonPassword(common), common).toBe(true)
    }
    for (const rare of ['constructor of worlds', 'hunter crab 9 lamp', 'toString__proto__'])
      expect(isCommonPassword(rare)).toBe(false)
  })
})
