import { promisify } from 'node:util'
import { gzip, gzipSync } from 'node:zlib'
import type { HttpCall } from './http-call.ts'

export interface CompressionSettings {
  readonly thresholdBytes: number
  readonly level: number
  /** Whether answers to MCP calls are compressed as well. */
  readonly credentialed: boolean
}

/** What is larger is sent as it is: compressing it would take longer than sending it. */
const bytesMax = 4_194_304
/** Answers to calls that are compressed at once. What finds no room is sent as it is. */
const underwayMax = 4
/** Documents that are remembered. There are few, and nobody who reads them can make another. */
const documentsMax = 16

const gzipAside = promisify(gzip)

/**
 * Compresses answers (RFC 9110 §8.4.1.3). The size of a compressed answer tells of a secret in it to whoever can have a guess
 * echoed beside it (BREACH), so that as it comes only what was asked for without a credential, and by a verb that reads, is
 * compressed. A stream never is.
 */
export class Compression {
  private readonly settings: CompressionSettings
  private readonly documents = new Map<string, Buffer>()
  private underway = 0

  constructor(settings: CompressionSettings) {
    this.settings = settings
  }

  /** The compressed text, or `undefined` where it is to be sent as it is. */
  pack(call: HttpCall, text: string): Buffer | Promise<Buffer> | undefined {
    const { thresholdBytes, level, credentialed } = this.settings
    const open = call.principal === undefined && (call.verb === 'GET' || call.verb === 'HEAD')
    if (!open && !(credentialed && call.message !== undefined && call.principal !== undefined)) return undefined
    const bytes = Buffer.byteLength(text)
    if (bytes < thresholdBytes || bytes > bytesMax || !takesGzip(call.headers['accept-encoding'])) return undefined
    if (open) return this.documents.get(text) ?? this.remember(text, gzipSync(text, { level }))
    if (this.underway >= underwayMax) return undefined
    this.underway++
    return gzipAside(text, { level }).finally(() => this.underway--)
  }

  private remember(text: string, packed: Buffer): Buffer {
    if (this.documents.size >= documentsMax) this.documents.clear()
    this.documents.set(text, packed)
    return packed
  }
}

const codingPattern = /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?$/

/** Whether the client takes gzip (RFC 9110 §12.5.3). A header that does not parse is one that takes nothing. */
export function takesGzip(accepted: string | string[] | undefined): boolean {
  if (typeof accepted !== 'string') return false
  let any: boolean | undefined
  let named: boolean | undefined
  for (const part of accepted.split(',')) {
    const [, coding = '', weight = '1'] = codingPattern.exec(part) ?? []
    if (coding === '') return false
    const takes = Number(weight) > 0
    if (coding === '*') any ??= takes
    else if (/^(?:x-)?gzip$/i.test(coding)) named ??= takes
  }
  return named ?? any ?? false
}
