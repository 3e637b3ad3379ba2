import { argon2, timingSafeEqual } from 'node:crypto'
import type { RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'

/** What one digest costs. Raising it makes older digests stale: they are made again when their user next signs in. */
export interface PasswordCost {
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** OWASP's least for argon2id. */
export const passwordCost: PasswordCost = Object.freeze({ memoryKib: 19_456, passes: 2, lanes: 1 })

export interface PasswordsParts {
  readonly random: RandomBytes
  readonly cost?: PasswordCost
  /** How many are worked on at once, and how many may wait for that. */
  readonly atOnce?: number
  readonly waitingMax?: number
}

export type Weakness = 'password-length' | 'password-common'

const lengthMin = 8
const lengthMax = 1_024
const bytesMax = 4_096
const saltBytes = 16
const tagBytes = 32

/**
 * Passwords and their digests: argon2id in the PHC string format, made off the event loop, so many at once and so many
 * waiting; beyond them `Fault('capacity.exceeded')`. A password is compared in Unicode's composed form (NFC), as keyboards
 * differ in which one they send.
 */
export class Passwords {
  readonly #random: RandomBytes
  readonly #cost: PasswordCost
  readonly #atOnce: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #working = 0
  #decoy: Promise<string> | undefined

  constructor({ random, cost = passwordCost, atOnce = 4, waitingMax = 64 }: PasswordsParts) {
    this.#random = random
    this.#cost = cost
    this.#atOnce = atOnce
    this.#waitingMax = waitingMax
  }

  /** Why a new password is refused, or `undefined`. `own`: what is known of its user, which it must not be made of. */
  async weakness(password: string, own: readonly (string | undefined)[]): Promise<Weakness | undefined> {
    const length = typeof password === 'string' && password.isWellFormed() ? [...password].length : 0
    if (length < lengthMin || length > lengthMax || Buffer.byteLength(password) > bytesMax) return 'password-length'
    const { isCommonPassword } = await import('./common-passwords.ts')
    return isCommonPassword(password) || isMadeOf(password, own) ? 'password-common' : undefined
  }

  async hash(password: string): Promise<string> {
    const salt = this.#random(saltBytes)
    return phcOf(this.#cost, salt, await this.#derive(password, salt, this.#cost))
  }

  /**
   * Whether the password is the one of the digest. Without a digest, or with a text that cannot be a password, the answer is
   * no, and takes as long. `stale`: the digest is cheaper than those made now.
   */
  async verify(
    password: string,
    digest: string | undefined,
  ): Promise<{ readonly good: boolean; readonly stale: boolean }> {
    this.#decoy ??= this.#newDecoy()
    const decoy = await this.#decoy
    const possible = typeof password === 'string' && password.isWellFormed() && Buffer.byteLength(password) <= bytesMax
    const parsed = parsePhc(digest ?? decoy)
    if (parsed === undefined) throw new Error('a stored password digest is not in the PHC format')
    const { cost, salt, tag } = parsed
    const derived = await this.#derive(possible ? password : '', salt, cost)
    const equal = derived.length === tag.length && timingSafeEqual(derived, tag)
    return { good: equal && possible && digest !== undefined, stale: !alike(cost, this.#cost) }
  }

  async #newDecoy(): Promise<string> {
    return phcOf(this.#cost, this.#random(saltBytes), this.#random(tagBytes))
  }

  async #derive(password: string, salt: Buffer, cost: PasswordCost): Promise<Buffer> {
    await this.#turn()
    try {
      return await new Promise<Buffer>((done, failed) => {
        argon2(
          'argon2id',
          {
            message: password.normalize('NFC'),
            nonce: salt,
            parallelism: cost.lanes,
            tagLength: tagBytes,
            memory: cost.memoryKib,
            passes: cost.passes,
          },
          (error, tag) => (error === null ? done(tag) : failed(error)),
        )
      })
    } finally {
      const next = this.#waiting.shift()
      // Whoever waited longest takes the place over, so that nobody who comes now is before them.
      if (next === undefined) this.#working--
      else next()
    }
  }

  async #turn(): Promise<void> {
    if (this.#working < this.#atOnce) {
      this.#working++
      return
    }
    if (this.#waiting.length >= this.#waitingMax) throw new Fault('capacity.exceeded', { reason: 'passwords' })
    await new Promise<void>((ready) => this.#waiting.push(ready))
  }
}

function phcOf({ memoryKib, passes, lanes }: PasswordCost, salt: Buffer, tag: Buffer): string {
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(tag)}`
}

function parsePhc(text: string): { cost: PasswordCost; salt: Buffer; tag: Buffer } | undefined {
  const match =
    /^\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text)
  if (match === null) return undefined
  const [, memoryKib, passes, lanes, salt = '', tag = ''] = match
  return {
    cost: { memoryKib: Number(memoryKib), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}

function alike(left: PasswordCost, right: PasswordCost): boolean {
  return left.memoryKib === right.memoryKib && left.passes === right.passes && left.lanes === right.lanes
}

/** Whether little is left of the password once the words known of its user are taken out. */
function isMadeOf(password: string, own: readonly (string | undefined)[]): boolean {
  const words = own.flatMap((text) => text?.toLowerCase().split(/[^\p{L}\p{N}]+/u) ?? [])
  let rest = password.toLowerCase()
  for (const word of words.sort((left, right) => right.length - left.length)) {
    if ([...word].length >= 3) rest = rest.replaceAll(word, '')
  }
  const left = rest.replace(/[^\p{L}\p{N}]/gu, '')
  return rest !== password.toLowerCase() && [...left].length < restMin
}

const restMin = 6
