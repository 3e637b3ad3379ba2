import { mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tlsOptions, tlsWatch } from './tls.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-tls-files-'))
  for (const name of ['cert.pem', 'key.pem', 'ca.pem', 'crl.pem']) write(name)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

let writes = 0
/** Writes a file, at a time that no other write had. */
function write(name: string): void {
  const path = join(folder, name)
  writeFileSync(path, String(++writes))
  utimesSync(path, 1_000 + writes, 1_000 + writes)
}
const at = (name: string) => join(folder, name)
const files = {
  get certificatePath() {
    return at('cert.pem')
  },
  get keyPath() {
    return at('key.pem')
  },
}

test('RL-07: a handshake has ten seconds', () => {
  expect(tlsOptions.handshakeTimeout).toBe(10_000)
})

test('a change counts once, when the files have been still since the time before', () => {
  const changed = tlsWatch(files)
  expect([changed(), changed()]).toEqual([false, false])
  write('cert.pem')
  expect(changed()).toBe(false)
  write('key.pem')
  expect([changed(), changed(), changed()]).toEqual([false, true, false])
})

test('a link that is turned to another file is a change, whatever the time of that', () => {
  for (const name of ['old', 'new']) {
    write(name)
    utimesSync(at(name), 500, 500)
  }
  rmSync(at('cert.pem'))
  symlinkSync(at('old'), at('cert.pem'))
  const changed = tlsWatch(files)
  symlinkSync(at('new'), at('turned'))
  renameSync(at('turned'), at('cert.pem'))
  expect([changed(), changed(), changed()]).toEqual([false, true, false])
})

test.each(['ca.pem', 'crl.pem'])('the authority of clients and its list are looked at too (%s)', (name) => {
  const clients = { demand: 'required' as const, caPath: at('ca.pem'), crlPath: at('crl.pem') }
  const changed = tlsWatch({ certificatePath: at('cert.pem'), keyPath: at('key.pem'), clients })
  write(name)
  expect([changed(), changed(), changed()]).toEqual([false, true, false])
})
