import * as crypto from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openRecord, sealRecord } from './record.ts'
import { type Cryptography, selfTest } from './self-test.ts'

const broken: Readonly<Record<string, readonly [Partial<Cryptography>, string]>> = {
  'a cipher with another key': [
    {
      createCipheriv: ((name: 'aes-256-gcm', _key: Buffer, iv: Buffer, options: crypto.CipherGCMOptions) =>
        crypto.createCipheriv(name, Buffer.alloc(32, 9), iv, options)) as Cryptography['createCipheriv'],
    },
    'AES-256-GCM',
  ],
  'a derivation that leaves its label out': [
    {
      hkdfSync: ((digest: string, key: Buffer, salt: Buffer, _info: Buffer, length: number) =>
        crypto.hkdfSync(digest, key, salt, '', length)) as Cryptography['hkdfSync'],
    },
    'HKDF-SHA-256',
  ],
  'another digest': [
    { createHmac: ((_: string, key: string) => crypto.createHmac('sha512', key)) as Cryptography['createHmac'] },
    'HMAC-SHA-256',
  ],
  'a signature of something else': [
    {
      sign: ((_: null, __: Buffer, key: crypto.KeyObject) =>
        crypto.sign(null, Buffer.from('x'), key)) as Cryptography['sign'],
    },
    'Ed25519',
  ],
  'a function that throws': [
    {
      createHmac: () => {
        throw new Error('not supported')
      },
    },
    'HMAC-SHA-256',
  ],
  'an opener that looks at no tag': [
    { openRecord: (key, place, sealed) => openRecord(key, place, sealed) ?? Buffer.from('anything') },
    'the sealing of records',
  ],
  'a record that opens in any place': [
    { openRecord: (key, place, sealed) => openRecord(key, { ...place, sequence: 1 }, sealed) },
    'the sealing of records',
  ],
  'the same nonce twice': [
    { sealRecord: (key, place, plain) => sealRecord(key, place, plain, (size) => Buffer.alloc(size)) },
    'the sealing of records',
  ],
  'a record that is not sealed': [
    { sealRecord: (_key, _place, plain) => plain, openRecord: (_key, _place, sealed) => sealed },
    'the sealing of records',
  ],
}

describe('the self-test', () => {
  test('CR-10: passes with the cryptography of this process', () => expect(() => selfTest()).not.toThrow())

  test.each(Object.entries(broken))('CR-10: %s is found', (_, [cryptography, name]) => {
    expect(() => selfTest(cryptography)).toThrow(`the self-test of cryptography failed: ${name} `)
  })
})
