import type { Door } from './verdict.ts'

/**
 * The addresses by which tokens name this server: who issued them, and which door they open. They come from the
 * configuration and from where it listens, never from what a request says.
 */
export class Doors {
  readonly #resources = new Map<Door, string>()
  #issuer: string | undefined

  /** The server listens: its tokens are issued as of this address, without a path. */
  serveAt(base: string): void {
    this.#issuer = base
  }

  /** A door is open at this canonical address (RFC 8707 §2). */
  open(door: Door, resource: string): void {
    this.#resources.set(door, resource)
  }

  /** `undefined` until the server listens. */
  get issuer(): string | undefined {
    return this.#issuer
  }

  /** `undefined` while the door is not open. */
  resource(door: Door): string | undefined {
    return this.#resources.get(door)
  }

  /** The door that this is the address of, exactly. */
  doorAt(resource: string): Door | undefined {
    for (const [door, address] of this.#resources) if (address === resource) return door
    return undefined
  }
}
