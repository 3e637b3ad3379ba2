import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { appendFileSync, chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Whether certificates can be made here. Says so where they cannot, and fails where they must. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl && process.env['REQUIRE_SERVICES'] === '1')
  throw new Error('the tests of TLS need openssl to make a certificate')
if (!hasOpenssl) console.warn('the tests of TLS are skipped: there is no openssl to make a certificate with')

/** Paths of a certificate and its key. */
export interface Pair {
  readonly certificate: string
  readonly key: string
}

const openssl = (cwd: string, args: readonly string[]): void =>
  void execFileSync('openssl', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
const newKey = (kind: 'ec' | 'rsa') =>
  kind === 'ec' ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['-newkey', 'rsa:2048']

/** An authority of our own, with what it signs in its folder. */
export class Authority {
  readonly folder: string
  readonly certificate: string
  readonly key: string
  private made = 0

  constructor(folder: string, name: string) {
    this.folder = join(folder, name)
    mkdirSync(this.folder)
    this.certificate = join(this.folder, 'ca.pem')
    this.key = join(this.folder, 'ca.key')
    const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes']
    openssl(this.folder, ['req', '-x509', ...newKey('ec'), '-keyout', this.key, ...subject, '-out', this.certificate])
    writeFileSync(join(this.folder, 'index.txt'), '')
    const settings = ['[ca]', 'default_ca=own', '[own]', 'database=index.txt', 'default_md=sha256', '']
    writeFileSync(join(this.folder, 'ca.cnf'), settings.join('\n'))
  }

  /** A certificate for a server on this machine, or for a client. With `days` below zero it has ended. */
  issue(use: 'server' | 'client', { days = 2, kind = 'ec' as 'ec' | 'rsa', dns = 'localhost' } = {}): Pair {
    const at = join(this.folder, `${use}-${++this.made}`)
    const [certificate, key] = [`${at}.pem`, `${at}.key`]
    openssl(this.folder, ['req', ...newKey(kind), '-keyout', key, '-subj', `/CN=${use}`, '-nodes', '-out', `${at}.csr`])
    const names = use === 'server' ? `subjectAltName=DNS:${dns},IP:127.0.0.1\n` : ''
    writeFileSync(`${at}.ext`, `basicConstraints=critical,CA:FALSE\nextendedKeyUsage=${use}Auth\n${names}`)
    const signed = ['x509', '-req', '-in', `${at}.csr`, '-extfile', `${at}.ext`, '-days', String(days)]
    openssl(this.folder, [...signed, '-CA', this.certificate, '-CAkey', this.key, '-out', certificate])
    chmodSync(key, 0o600)
    return { certificate, key }
  }

  revoke({ certificate }: Pair): void {
    const { serialNumber } = new X509Certificate(readFileSync(certificate))
    appendFileSync(join(this.folder, 'index.txt'), `R\t400101000000Z\t260101000000Z\t${serialNumber}\tunknown\t/CN=x\n`)
  }

  /** The list of what was revoked, as of now; or one that ended long ago. */
  list(to: string, { ended = false } = {}): void {
    const times = ended
      ? ['-crl_lastupdate', '20250101000000Z', '-crl_nextupdate', '20250102000000Z']
      : ['-crldays', '2']
    const own = ['-config', 'ca.cnf', '-keyfile', this.key, '-cert', this.certificate]
    openssl(this.folder, ['ca', ...own, '-gencrl', ...times, '-out', `${to}.new`])
    renameSync(`${to}.new`, to)
  }
}

/** Puts a pair where the server looks for it, as a renewal does: the key, then the certificate. */
export function install(pair: Pair, place: Pair): void {
  copyFileSync(pair.key, place.key)
  chmodSync(place.key, 0o600)
  copyFileSync(pair.certificate, place.certificate)
}
