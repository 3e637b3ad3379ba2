import type { Params } from '../call.ts'

const brand = Symbol.for('merlon.content')

/** A full tool result, as `content` builds it. Told apart from a plain JSON value by a mark that JSON cannot carry. */
export class Content {
  readonly [brand] = true
  readonly content: readonly Params[]
  readonly structured: unknown
  readonly isError: boolean

  constructor(content: readonly Params[], structured: unknown, isError: boolean) {
    this.content = content
    this.structured = structured
    this.isError = isError
  }
}

/** Whether a value was built by `content` or `failure`, of this or another copy of the library. */
export function isContent(value: unknown): value is Content {
  return typeof value === 'object' && value !== null && brand in value
}

/** A tool result of several blocks: `content(text('…'), image(bytes, 'image/png'))`. */
export function content(...blocks: Params[]): Content {
  return new Content(blocks, undefined, false)
}

/** A result with the structure that `output` declares, and blocks of its own in place of its JSON text. */
export function structured(value: unknown, ...blocks: [Params, ...Params[]]): Content {
  return new Content(blocks, value, false)
}

/** A tool result that says the tool failed, in words meant for the caller. */
export function failure(...blocks: (string | Params)[]): Content {
  return new Content(
    blocks.map((block) => (typeof block === 'string' ? text(block) : block)),
    undefined,
    true,
  )
}

/** A block of text. */
export function text(value: string): Params {
  return { type: 'text', text: value }
}

/** A picture: its bytes, or a string that is base64 already. */
export function image(data: Uint8Array | string, mimeType: string): Params {
  return { type: 'image', data: base64(data), mimeType }
}

/** A sound: its bytes, or a string that is base64 already. */
export function audio(data: Uint8Array | string, mimeType: string): Params {
  return { type: 'audio', data: base64(data), mimeType }
}

/** A resource in full, inside a result: `{ uri, mimeType, text }` or `{ uri, mimeType, blob }`. */
export function embedded(resource: Params): Params {
  return { type: 'resource', resource }
}

/** A pointer to a resource that the client may read. */
export function link(resource: {
  readonly uri: string
  readonly name: string
  readonly [key: string]: unknown
}): Params {
  return { type: 'resource_link', ...resource }
}

/** Bytes as base64; a string is taken to be base64 already. */
function base64(data: Uint8Array | string): string {
  return typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
}
