import { isIP } from 'node:net'
import { listening } from '../../config/listening.ts'
import { isLoopback } from '../../config/values.ts'
import { type Rule, saidByLoader, setting } from '../rule.ts'

/** A request header that decides something for whoever reads it; a page has no business with it. */
const deciding = /^(?:cookie|forwarded|x-forwarded-.*|x-real-ip|host|proxy-.*|x-http-method-override)$/i
const revealing = /^(?:set-cookie|authorization|x-api-key)$/i

/** Where it listens, whom it believes, and which pages may call. */
export const networkRules: readonly Rule[] = [
  {
    id: 'CA-101',
    title: 'Beyond loopback it is served only with TLS, or behind a named TLS-terminating proxy.',
    severity: 'fatal',
    why: 'Keys and answers would cross the network in clear.',
    fix: 'Set tls.certificatePath and tls.keyPath, name the proxy in server.trustedProxies, or listen on 127.0.0.1.',
    source: ['MCP transports', 'ASVS 5.0 V12.2.1', 'OWASP MCP09'],
    check: saidByLoader('CA-101'),
  },
  {
    id: 'CA-102',
    title: 'On loopback the Host check is on.',
    severity: 'fatal',
    why: 'Any web page can make its name mean 127.0.0.1 and call the server from the browser (DNS rebinding).',
    fix: 'Remove server.dangerouslySkipHostCheck, and name further hosts in server.allowedHosts.',
    source: ['MCP transports', 'CVE-2025-66414'],
    check: saidByLoader('CA-102'),
  },
  {
    id: 'CA-103',
    title: 'On loopback the Origin check is on.',
    severity: 'fatal',
    why: 'Any web page that the user visits could call the server.',
    fix: 'Remove cors.dangerouslySkipOriginCheck, and name the pages in cors.allowedOrigins.',
    source: ['MCP transports', 'CVE-2025-66414'],
    check: saidByLoader('CA-103'),
  },
  {
    id: 'CA-104',
    title: 'The Host check is on everywhere.',
    severity: 'high',
    why: 'Without it a name that the server does not know is served as if it were its own.',
    fix: 'Remove server.dangerouslySkipHostCheck, and name the hosts in server.allowedHosts.',
    source: ['MCP transports', 'CVE-2025-66414'],
    check: saidByLoader('CA-104'),
  },
  {
    id: 'CA-105',
    title: 'The Origin check is on everywhere.',
    severity: 'high',
    why: 'A page of anybody could use the server through the browser of somebody inside.',
    fix: 'Remove cors.dangerouslySkipOriginCheck, and name the pages in cors.allowedOrigins.',
    source: ['MCP transports', 'ASVS 5.0 V3.4.2'],
    check: saidByLoader('CA-105'),
  },
  {
    id: 'CA-106',
    title: 'Origins are named one by one.',
    severity: 'fatal',
    why: 'A wildcard, `null` or a pattern lets in pages that nobody named.',
    fix: 'Name each page in cors.allowedOrigins as https://host. Programs that are no web pages need no entry.',
    source: ['ASVS 5.0 V3.4.2', 'MCP transports'],
    check: saidByLoader('CA-106'),
  },
  {
    id: 'CA-107',
    title: 'Pages that may call are served by https.',
    severity: 'medium',
    why: 'Whoever is between can change a page that came by http, and then it calls with the rights of its reader.',
    fix: 'Serve the page by https, and name it so in cors.allowedOrigins.',
    source: ['ASVS 5.0 V3.4.2', 'ASVS 5.0 V12.2.1'],
    check: (facts) =>
      facts.config.cors.allowedOrigins.flatMap((origin, at) => {
        const host = /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(origin)?.[1]?.replace(/^\[|\]$/g, '')
        const bad = host !== undefined && !isLoopback(host)
        return setting(facts, `cors.allowedOrigins.${at}`, bad, `${origin} is served in clear`)
      }),
  },
  {
    id: 'CA-108',
    title: 'The public address is https.',
    severity: 'high',
    why: 'Clients are told to send their keys in clear.',
    fix: 'Set server.publicUrl to the https address.',
    source: ['MCP authorization', 'ASVS 5.0 V12.2.1'],
    check: saidByLoader('CA-108'),
  },
  {
    id: 'CA-109',
    title: 'Trusted proxies are a small range.',
    severity: 'medium',
    why: 'Whoever is in the range can say which address a call came from, and so pass limits and mislead the audit.',
    fix: 'Name the addresses of the proxies in server.trustedProxies: /24 or narrower for IPv4, /64 for IPv6.',
    source: ['ASVS 5.0 V15.3.4', 'ASVS 5.0 V4.1.3', 'CVE-2026-3635'],
    check: (facts) =>
      facts.config.server.trustedProxies.flatMap((range, at) => {
        const [address = '', prefix = ''] = range.split('/')
        const bad = Number(prefix) < (isIP(address) === 4 ? 24 : 64)
        return setting(facts, `server.trustedProxies.${at}`, bad, `${range} believes very many addresses`)
      }),
  },
  {
    id: 'CA-110',
    title: 'The list of hosts is not empty.',
    severity: 'low',
    why: 'An empty list denies, so nobody is served; somebody may have meant the default.',
    fix: 'Leave server.allowedHosts out for its default.',
    source: ['CVE-2026-33032'],
    check: saidByLoader('CA-110'),
  },
  {
    id: 'CA-111',
    title: 'Pages send and read no header that decides something.',
    severity: 'medium',
    why: 'A page that may send X-Forwarded-For or Cookie, or read a credential, can speak for somebody else.',
    fix: 'Take the header out of cors.allowedHeaders or cors.exposedHeaders.',
    source: ['ASVS 5.0 V3.4.2', 'ASVS 5.0 V4.1.3'],
    check: (facts) => {
      const { allowedHeaders, exposedHeaders } = facts.config.cors
      return [
        ...allowedHeaders.flatMap((name, at) =>
          setting(facts, `cors.allowedHeaders.${at}`, deciding.test(name), `a page may send ${name}`),
        ),
        ...exposedHeaders.flatMap((name, at) =>
          setting(facts, `cors.exposedHeaders.${at}`, revealing.test(name), `a page may read ${name}`),
        ),
      ]
    },
  },
  {
    id: 'CA-112',
    title: 'The endpoint, the health path and /ready are three different paths.',
    severity: 'fatal',
    why: 'One of two routes on one path would be served without its guards.',
    fix: 'Give each its own path.',
    source: ['ASVS 5.0 V8.2.1', 'OWASP MCP07'],
    check: saidByLoader('CA-112'),
  },
  {
    id: 'CA-113',
    title: 'Session ids and event ids travel in headers of their own.',
    severity: 'fatal',
    why: 'A header with two meanings is read as one by us and as the other by a proxy.',
    fix: 'Leave session.headerName and resumability.headerName out for the names of the protocol.',
    source: ['ASVS 5.0 V15.3.7'],
    check: saidByLoader('CA-113'),
  },
  {
    id: 'CA-114',
    title: 'Behind a proxy it listens on one address.',
    severity: 'medium',
    why: 'On every address, without TLS of its own, it can be reached past the proxy in clear.',
    fix: 'Set server.host to the address that the proxy calls, or to 127.0.0.1 where the proxy is on this machine.',
    source: ['MCP transports', 'ASVS 5.0 V12.3.3'],
    check: (facts) => {
      const { clear } = listening(facts.config)
      const every = clear?.host === '0.0.0.0' || clear?.host === '::'
      const bad = every && facts.config.server.trustedProxies.length > 0
      return setting(facts, 'server.host', bad, 'listens on every address, in clear')
    },
  },
  {
    id: 'CA-115',
    title: 'Beyond loopback the public address is written down.',
    severity: 'medium',
    why: 'Tokens and metadata name the server by its public address; without it they name a listening address that clients do not use.',
    fix: 'Set server.publicUrl to the address that clients use.',
    source: ['RFC 9728', 'MCP authorization'],
    check: (facts) => {
      const { clear, tls } = listening(facts.config)
      const reached = [clear, tls].some((place) => place !== undefined && !isLoopback(place.host))
      const bad = reached && facts.config.server.publicUrl === undefined
      return setting(facts, 'server.publicUrl', bad, 'is not set, and the server is reached from elsewhere')
    },
  },
  {
    id: 'CA-116',
    title: 'Answers to a credential are not compressed.',
    severity: 'high',
    why: 'Whoever can have guesses echoed beside a secret, and sees how long the answer is, learns the secret bit by bit (BREACH).',
    fix: 'Remove compression.dangerouslyIncludeCredentialed; what anybody may read is compressed without it.',
    source: ['CVE-2013-3587'],
    check: saidByLoader('CA-116'),
  },
]
