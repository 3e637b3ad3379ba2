/**
 * Decodes base64 only in its one canonical spelling, or answers undefined. `Buffer.from` skips junk, missing padding and
 * stray trailing bits, so that many texts would mean the same bytes and a token could be altered without being noticed.
 */
export function decodeCanonical(text: string, encoding: 'base64' | 'base64url'): Buffer | undefined {
  const bytes = Buffer.from(text, encoding)
  return bytes.toString(encoding) === text ? bytes : undefined
}
