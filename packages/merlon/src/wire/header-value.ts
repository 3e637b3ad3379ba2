import { isUtf8 } from 'node:buffer'
import { decodeCanonical } from '../canonical-base64.ts'

const prefix = '=?base64?'
const suffix = '?='

/**
 * Decodes a mirrored header value (2026-07-28, Streamable HTTP, "Value Encoding"): plain visible ASCII with inner spaces
 * and tabs, or `=?base64?…?=` around canonical Base64 of UTF-8. Anything else is undefined.
 */
export function decodeHeaderValue(value: string): string | undefined {
  if (value.startsWith(prefix) && value.endsWith(suffix) && value.length >= prefix.length + suffix.length) {
    const bytes = decodeCanonical(value.slice(prefix.length, -suffix.length), 'base64')
    return bytes === undefined || !isUtf8(bytes) ? undefined : bytes.toString('utf8')
  }
  return isPlain(value) ? value : undefined
}

/** The header value that says `text`: as it is where it is safe, else in the Base64 form. */
export function encodeHeaderValue(text: string): string {
  const looksEncoded = text.startsWith(prefix) && text.endsWith(suffix)
  if (isPlain(text) && !looksEncoded && text === text.trim()) return text
  return `${prefix}${Buffer.from(text).toString('base64')}${suffix}`
}

function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) return false
  }
  return true
}
