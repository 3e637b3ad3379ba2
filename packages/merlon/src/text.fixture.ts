import * as fc from 'fast-check'

/** Every character of Unicode, each as likely as another. (fast-check's own `binary` takes most of a second to make.) */
const character = fc
  .integer({ min: 0, max: 0x10_ffff })
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code))

/** Any well-formed text, with many characters that have no letter in them. */
export const anyText = (bounds: { readonly maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.oneof(fc.string({ unit: character, ...bounds }), fc.string(bounds))
