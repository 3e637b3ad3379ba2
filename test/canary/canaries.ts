import { randomBytes } from 'node:crypto'

/** One planted text: what it is, and the part of it that nothing else in the world has. */
export interface Canary {
  readonly what: string
  readonly text: string
  readonly core: string
}

/** Plants texts that can be told from everything else, wherever they turn up. */
export class Canaries {
  readonly all: Canary[] = []

  /** A text to be planted. It has characters that each encoding changes. */
  text(what: string): string {
    const core = randomBytes(12).toString('hex')
    return this.know(what, `c4n/a+ry=${core}`, core)
  }

  /** The same of letters, digits and dashes alone, for where nothing else may stand. */
  word(what: string): string {
    const core = randomBytes(12).toString('hex')
    return this.know(what, core, core)
  }

  /** A secret that somebody else made. */
  know(what: string, text: string, core = text): string {
    if (core.length < 16) throw new Error(`${what} is too short to be told from others`)
    this.all.push({ what, text, core })
    return text
  }
}

/** The forms that a text is looked for in: as it is, in Base64 at each of its three places, in hexadecimal, in a URL, in UTF-16. */
export function formsOf({ text, core }: Canary): ReadonlyMap<string, string> {
  const bytes = Buffer.from(text)
  return new Map([
    // Also what stands in a URL or in JSON: the core has no character that they change.
    ['raw', core],
    ['URL', encodeURIComponent(text)],
    ...[0, 1, 2].map((shift): [string, string] => [`Base64 ${shift}`, base64Within(bytes, shift)]),
    ['hexadecimal', Buffer.from(core).toString('hex')],
    ['UTF-16', Buffer.from(core, 'utf16le').toString('latin1')],
  ])
}

/** The Base64 that the bytes have behind `shift` others, without the characters that their neighbours have a part in. */
function base64Within(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/, '')
  const begins = Math.ceil((shift * 8) / 6)
  const ends = Math.floor(((shift + bytes.length) * 8) / 6)
  return encoded.slice(begins, ends)
}

export interface Found {
  readonly what: string
  readonly form: string
  readonly place: string
}

/** Every canary that is in one of the places, in whatever form. Letters of hexadecimal count in either case, and Base64 in either alphabet. */
export function find(canaries: readonly Canary[], places: ReadonlyMap<string, Buffer>): readonly Found[] {
  const found: Found[] = []
  for (const [place, bytes] of places) {
    const text = bytes.toString('latin1')
    const lower = text.toLowerCase()
    const standard = text.replaceAll('-', '+').replaceAll('_', '/')
    for (const canary of canaries) {
      for (const [form, wanted] of formsOf(canary)) {
        const within = form === 'hexadecimal' ? lower : form.startsWith('Base64') ? standard : text
        if (within.includes(wanted)) found.push({ what: canary.what, form, place })
      }
    }
  }
  return found
}
