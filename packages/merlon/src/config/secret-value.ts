/** Words on the settings that hold or may hold a secret. None quotes the value. */

/** What to do about a secret that is no good. */
export const makeSecrets = 'Run `merlon generate-keys --secrets` for good ones'

const placeholder = /^(?:<|your[-_]|change[-_]?me|%3C)/i

/** What is wrong with the address of a PostgreSQL database, or nothing. */
export function databaseUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL'
  const { protocol, password, hostname } = new URL(text)
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') return 'is not a postgres:// address'
  if (hostname === '' && !text.includes('?')) return 'names no host'
  if (placeholder.test(password)) return 'holds a placeholder for the password'
  return undefined
}

/** What is wrong with the address of a Redis, or nothing. */
export function redisUrlProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'is not a URL'
  const { protocol, password, hostname, pathname } = url
  if (protocol !== 'redis:' && protocol !== 'rediss:') return 'is not a redis:// or rediss:// address'
  if (hostname === '') return 'names no host'
  if (!/^(?:\/[0-9]{0,3})?$/.test(pathname)) return 'names a database that is not a number'
  if (placeholder.test(password)) return 'holds a placeholder for the password'
  return undefined
}

/** What is wrong with the address that alerts are posted to, or nothing. In clear it goes to this machine alone. */
export function webhookUrlProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'is not a URL'
  const { protocol, hostname, username, password, hash } = url
  if (protocol !== 'https:' && !(protocol === 'http:' && loopbackNames.has(hostname))) return 'is not an https address'
  if (username !== '' || password !== '') return 'holds a user or a password, which is not sent'
  return hash === '' ? undefined : 'holds a fragment, which is not sent'
}

/** What is wrong with the secret by which an issuer knows a client of its own, or nothing. It is the issuer that makes it. */
export function clientSecretProblem(text: string): string | undefined {
  if (placeholder.test(text)) return 'is a placeholder'
  return /^[\x20-\x7e]{8,512}$/.test(text) ? undefined : 'is not 8 to 512 printable characters'
}

const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Text that is a secret itself: a key of ours, a private key, or an address with a password in it. */
export function looksLikeSecret(text: string): boolean {
  return (
    /\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{20,}/.test(text) ||
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ||
    /^[a-z][a-z0-9+.-]*:\/\/[^/@\s:]*:[^/@\s]+@/i.test(text)
  )
}
