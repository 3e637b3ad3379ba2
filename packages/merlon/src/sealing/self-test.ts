import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createSecretKey,
  hkdfSync,
  randomBytes,
  sign,
} from 'node:crypto'
import { openRecord, sealRecord } from './record.ts'

/** The functions that everything sealed, digested and signed here rests on. */
const ours = { createCipheriv, createDecipheriv, createHmac, hkdfSync, sign, sealRecord, openRecord }
export type Cryptography = typeof ours

const hex = (text: string) => Buffer.from(text, 'hex')

/**
 * Compares the cryptography of this process with published answers, and seals, opens and alters a record. Throws, with the
 * name of what failed, where anything is not as it should be: a server that cannot trust it does not start.
 */
export function selfTest(cryptography: Partial<Cryptography> = {}): void {
  const all = { ...ours, ...cryptography }
  for (const [name, isWell] of tests) {
    if (succeeds(() => isWell(all))) continue
    throw new Error(
      `the self-test of cryptography failed: ${name} does not give what its standard says. Do not use this Node.js or OpenSSL; install another`,
    )
  }
}

function succeeds(test: () => boolean): boolean {
  try {
    return test()
  } catch {
    return false
  }
}

const tests: readonly (readonly [name: string, isWell: (cryptography: Cryptography) => boolean])[] = [
  [
    // The Galois/Counter Mode of Operation (McGrew, Viega), test case 16.
    'AES-256-GCM',
    ({ createCipheriv, createDecipheriv }) => {
      const key = hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308')
      const iv = hex('cafebabefacedbaddecaf888')
      const plain = hex(
        'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
      )
      const aad = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2')
      const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
      cipher.setAAD(aad)
      const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
      const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
      decipher.setAAD(aad)
      decipher.setAuthTag(hex('76fc6ece0f4e1768cddf8853bb2d551b'))
      const opened = Buffer.concat([decipher.update(sealed), decipher.final()])
      return (
        sealed.toString('hex') ===
          '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662' &&
        cipher.getAuthTag().toString('hex') === '76fc6ece0f4e1768cddf8853bb2d551b' &&
        opened.equals(plain)
      )
    },
  ],
  [
    // RFC 5869, appendix A.1.
    'HKDF-SHA-256',
    ({ hkdfSync }) => {
      const salt = hex('000102030405060708090a0b0c')
      const made = hkdfSync('sha256', Buffer.alloc(22, 0x0b), salt, hex('f0f1f2f3f4f5f6f7f8f9'), 42)
      return (
        Buffer.from(made).toString('hex') ===
        '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'
      )
    },
  ],
  [
    // RFC 4231, test case 2.
    'HMAC-SHA-256',
    ({ createHmac }) =>
      createHmac('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex') ===
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    // RFC 8032, section 7.1, test 2.
    'Ed25519',
    ({ sign }) => {
      const seed = hex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
      const der = Buffer.concat([hex('302e020100300506032b657004220420'), seed])
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
      return (
        sign(null, hex('72'), key).toString('hex') ===
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
      )
    },
  ],
  ['the sealing of records', sealsAndRefuses],
]

/** A record opens where it belongs, and nowhere else, and not where one bit of it or its end is another. */
function sealsAndRefuses({ sealRecord, openRecord }: Cryptography): boolean {
  const key = { id: 'selftest0000', key: createSecretKey(randomBytes(32)) }
  const place = { tenant: 'self', type: 'session', record: 'test', sequence: 1 } as const
  const plain = randomBytes(64)
  const sealed = sealRecord(key, place, plain, randomBytes)
  const again = sealRecord(key, place, plain, randomBytes)
  const opens = (bytes: Buffer, at: typeof place | { readonly sequence: number } = place) =>
    openRecord(key, { ...place, ...at }, bytes)
  const altered = [13, 25, 40, sealed.length - 1].map((at) => {
    const copy = Buffer.from(sealed)
    copy[at]! ^= 1
    return copy
  })
  return (
    opens(sealed)?.equals(plain) === true &&
    !sealed.includes(plain) &&
    !sealed.equals(again) &&
    opens(sealed, { sequence: 2 }) === undefined &&
    opens(sealed.subarray(0, sealed.length - 12)) === undefined &&
    altered.every((bytes) => opens(bytes) === undefined)
  )
}
