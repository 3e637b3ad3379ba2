import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * Writes the list of common passwords that new ones are held to. Its source is passwords.json of the npm package
 * @zxcvbn-ts/language-common 4.1.3 (MIT), which is ranked, the most common first:
 *
 *   npm pack @zxcvbn-ts/language-common@4.1.3 && tar xzf zxcvbn-ts-language-common-4.1.3.tgz
 *   node scripts/common-passwords.ts package/src/passwords.json
 */

const lengthMin = 8
const most = 10_000

const [source] = process.argv.slice(2)
if (source === undefined) throw new Error('name the file passwords.json')
const ranked: readonly string[] = JSON.parse(readFileSync(source, 'utf8'))
const common = [...new Set(ranked.map((word) => word.toLowerCase()))]
  .filter((word) => word.length >= lengthMin && /^[!-~]+$/.test(word))
  .slice(0, most)
  .sort()

const text = `/**
 * The ${common.length} most common passwords of ${lengthMin} characters and more, in lower case and sorted. Written by
 * scripts/common-passwords.ts from the ranked list of @zxcvbn-ts/language-common 4.1.3 (MIT License, zxcvbn-ts).
 */
export const commonPasswordList =
  ${JSON.stringify(common.join(' ')).replace(/^"(.*)"$/s, (_all, words: string) => `'${words.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`)}
`
writeFileSync(join(import.meta.dirname, '../packages/merlon/src/identity/common-password-list.ts'), text)
console.log(`${common.length} passwords`)
