import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Reads a small JSON document of an issuer. Rejects where that cannot be done in time, or is not allowed. */
export type FetchDocument = (url: string) => Promise<FetchedDocument>

/** Posts a form to an issuer and reads the small JSON document that it answers. Rejects as `FetchDocument` does. */
export type PostForm = (url: string, form: URLSearchParams, authorization: string) => Promise<FetchedDocument>

export interface FetchedDocument {
  readonly bytes: Buffer
  readonly maxAgeMs: number | undefined
}

export interface FetchRules {
  /** Whether addresses of one's own network may be connected to. */
  readonly allowPrivateNetwork: boolean
  /** Whether `http:` to a loopback address may be read. */
  readonly allowHttp: boolean
  /** A further certificate authority, for tests. */
  readonly ca?: string | undefined
}

export const documentBytesMax = 65_536
export const fetchMs = 5_000
const jsonTypes = /^application\/(?:json|jwk-set\+json|[a-z0-9.-]+\+json)(?:;|$)/i

/**
 * Reads documents over https from the address that was asked for and from no other: no redirect is followed, and a name that
 * leads into a private network is not connected to unless that is allowed. At most 64 KiB, in at most 5 seconds.
 */
export function documentFetcher(rules: FetchRules): FetchDocument {
  return (url) => exchange(url, rules, { method: 'GET', headers: {}, body: undefined })
}

/** Posts forms within the same bounds. What is posted stands in the body alone, and no failure repeats any of it. */
export function formPoster(rules: FetchRules): PostForm {
  return (url, form, authorization) => {
    const body = Buffer.from(form.toString())
    const headers = {
      Authorization: authorization,
      'Content-Type': 'application/x-www-form-urlencoded',
      'Content-Length': String(body.length),
    }
    return exchange(url, rules, { method: 'POST', headers, body })
  }
}

interface Sent {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

function exchange(url: string, rules: FetchRules, { method, headers: sent, body }: Sent): Promise<FetchedDocument> {
  return new Promise((resolve, reject) => {
    const target = new URL(url)
    const refusal = addressRefusal(target, rules)
    if (refusal !== undefined) return reject(new Error(`${target.origin}: ${refusal}`))
    const failed = (why: string, cause?: unknown) =>
      reject(new Error(`${target.origin}${target.pathname}: ${why}`, { cause }))
    const send = target.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(
      target,
      {
        method,
        headers: { Accept: 'application/json', ...sent },
        agent: false,
        lookup: guardedLookup(rules.allowPrivateNetwork),
        signal: AbortSignal.timeout(fetchMs),
        maxHeaderSize: 16_384,
        ...(rules.ca === undefined ? {} : { ca: rules.ca }),
      },
      (response) => {
        const { statusCode, headers } = response
        const stop = (why: string) => {
          response.destroy()
          failed(why)
        }
        if (statusCode !== 200) return stop(`answered ${statusCode}`)
        if (!jsonTypes.test(headers['content-type'] ?? '')) return stop('answered something other than JSON')
        if (headers['content-encoding'] !== undefined) return stop('answered in an encoding')
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > documentBytesMax) stop(`answered more than ${documentBytesMax} bytes`)
          else chunks.push(chunk)
        })
        response.on('end', () =>
          resolve({ bytes: Buffer.concat(chunks), maxAgeMs: maxAgeIn(headers['cache-control']) }),
        )
        response.on('error', (cause) => failed('broke off', cause))
      },
    )
    request.on('error', (cause) => failed('cannot be reached', cause))
    request.end(body)
  })
}

function addressRefusal({ protocol, hostname, username, password }: URL, rules: FetchRules): string | undefined {
  const host = hostname.replace(/^\[|\]$/g, '')
  const literal = isIP(host) !== 0
  if (username !== '' || password !== '') return 'an address may not carry a password'
  if (protocol !== 'https:' && !(protocol === 'http:' && rules.allowHttp && literal && isLoopbackAddress(host)))
    return 'it is not https'
  // A name is looked at once it has been resolved; an address is never looked up.
  if (literal && !rules.allowPrivateNetwork && isPrivateAddress(host)) return 'it is in a private network'
  return undefined
}

/** Resolves a name, and answers only where none of its addresses is private: the one that is checked is the one used. */
function guardedLookup(allowPrivateNetwork: boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...(options as LookupOptions), all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0)
      if (!allowPrivateNetwork && addresses.some(({ address }) => isPrivateAddress(address)))
        return callback(new Error('the name leads into a private network'), '', 0)
      if ((options as LookupOptions).all === true) return callback(null, addresses)
      const [first] = addresses
      if (first === undefined) return callback(new Error('the name has no address'), '', 0)
      return callback(null, first.address, first.family)
    })
  }
}

/** What is not on the public internet: RFC 6890, RFC 4193, RFC 6598, multicast, and what carries IPv4 inside IPv6. */
const privateRanges = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  privateRanges.addSubnet(net, prefix, 'ipv4')
/** All of IPv6 that is not handed out for the public internet, and of that what leads elsewhere. */
const publicIpv6 = new BlockList()
publicIpv6.addSubnet('2000::', 3, 'ipv6')
for (const [net, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  privateRanges.addSubnet(net, prefix, 'ipv6')

/** Whether an address is anything but one of the public internet. What is no address counts as private. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return privateRanges.check(address, 'ipv4')
  return family === 0 || !publicIpv6.check(address, 'ipv6') || privateRanges.check(address, 'ipv6')
}

function isLoopbackAddress(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith('127.') : address === '::1'
}

function maxAgeIn(cacheControl: string | undefined): number | undefined {
  const seconds = /(?:^|[\s,])max-age=([0-9]{1,9})(?:$|[\s,;])/i.exec(cacheControl ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}
