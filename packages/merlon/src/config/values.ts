import { isIP, isIPv4 } from 'node:net'
import * as z from 'zod'
import { scopePattern } from '../policy/scopes.ts'

/* The kinds of values that settings have. */

export const origin = z
  .string()
  .regex(
    /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
    'an origin such as https://app.example:8443, in lower case, without a path; a wildcard or null is not one',
  )
  .refine(portInRange, 'a port from 1 to 65535')
export const host = z
  .string()
  .regex(
    /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
    'a host such as mcp.example or mcp.example:8443, in lower case',
  )
  .refine(portInRange, 'a port from 1 to 65535')
export const path = z
  .string()
  .regex(
    /^\/(?:(?!\.\.?(?:\/|$))[A-Za-z0-9._~-]+(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9._~-]+)*)?$/,
    'a plain path such as /mcp, without empty parts or dots, and no slash at its end',
  )
export const scope = z.string().regex(scopePattern, 'a scope such as read or files:write')
export const secretReference = z
  .string()
  .regex(
    /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/,
    'a reference to a secret, env:NAME or file:/path; never the secret itself',
  )
  .meta({ secret: true })
export const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'a header name')
export const addressRange = z
  .string()
  .regex(/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/, 'an address range such as 10.0.0.0/8')
  .refine(isAddressRange, 'an address range such as 10.0.0.0/8; a range of every address (/0) would believe everyone')

export function portInRange(text: string): boolean {
  const port = /:([0-9]+)$/.exec(text.replace(/^https?:\/\//, ''))?.[1]
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535)
}

function isAddressRange(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/')
  const family = isIP(address)
  return family !== 0 && Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
}

/** Node fires a timer beyond 2³¹−1 ms at once, so no span may be longer. */
export const ms = (least: number) => z.int().min(least).max(2_147_483_647)

/** Whether a socket on this address can be reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
