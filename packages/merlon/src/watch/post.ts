import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Post } from './notices.ts'

const timeoutMs = 5_000

/**
 * Posts to one address. It follows no redirect, reads no answer beyond its status, uses no proxy and keeps no connection.
 * That the address is https, or on loopback, was settled with the configuration.
 */
export function postTo(url: URL, withinMs = timeoutMs): Post {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return (body, headers) =>
    new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method: 'POST',
          agent: false,
          headers: { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' },
          signal: AbortSignal.timeout(withinMs),
        },
        (response) => {
          resolve(response.statusCode ?? 0)
          response.destroy()
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
}
