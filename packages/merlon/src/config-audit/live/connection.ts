import { header, isAnswer, json, listTools, type Outside, type Probe, status, wants } from './probe.ts'

const fromOrigin = (outside: Outside, origin: string) =>
  outside.send({ headers: [...json, ['Origin', origin]], body: listTools })

/** A refusal of the page: never a header that lets it read. */
async function originRefused(outside: Outside, origin: string) {
  const found = await fromOrigin(outside, origin)
  const allowed = header(found, 'access-control-allow-origin')
  if (allowed !== undefined) {
    return { expected: '403 without CORS headers', got: `Access-Control-Allow-Origin: ${allowed}`, ok: false }
  }
  return status(found, [403])
}

/** Who is served, and which forms of a request are taken at all. */
export const connectionProbes: readonly Probe[] = [
  {
    id: 'LP-101',
    title: 'A page of another origin is refused.',
    severity: 'high',
    why: 'Any page that the user visits could call the server through the browser.',
    fix: 'Compare Origin with a list, exactly, before anything else; answer 403.',
    source: ['MCP transports', 'ASVS 5.0 V3.4.2', 'CVE-2025-66414'],
    run: (outside) => originRefused(outside, 'https://probe.invalid'),
  },
  {
    id: 'LP-102',
    title: 'The origin `null` is refused.',
    severity: 'high',
    why: 'Sandboxed frames and files of anybody have it.',
    fix: 'Leave null out of the list.',
    source: ['MCP transports', 'ASVS 5.0 V3.4.2'],
    run: (outside) => originRefused(outside, 'null'),
  },
  {
    id: 'LP-103',
    title: 'An origin that only looks like ours is refused.',
    severity: 'high',
    why: 'A comparison of beginnings or ends lets in names that anybody can register.',
    fix: 'Compare scheme, host and port exactly.',
    source: ['MCP transports', 'ASVS 5.0 V3.4.2'],
    run: (outside) => originRefused(outside, `${outside.url.origin}.probe.invalid`),
  },
  {
    id: 'LP-104',
    title: 'A preflight of another origin is refused.',
    severity: 'high',
    why: 'The browser asks before it sends; a yes opens the door.',
    fix: 'Hold OPTIONS to the same list.',
    source: ['ASVS 5.0 V3.4.2', 'ASVS 5.0 V3.5.2'],
    async run(outside) {
      const found = await outside.send({
        verb: 'OPTIONS',
        headers: [
          ['Origin', 'https://probe.invalid'],
          ['Access-Control-Request-Method', 'POST'],
        ],
      })
      const allowed = header(found, 'access-control-allow-origin')
      return wants('no Access-Control-Allow-Origin', found, allowed ?? 'none', allowed === undefined)
    },
  },
  {
    id: 'LP-105',
    title: 'A host that is not ours is refused.',
    severity: 'high',
    why: 'A page whose name was made to mean this address sends its own name as Host (DNS rebinding).',
    fix: 'Compare Host with a list, exactly; answer 403.',
    source: ['MCP transports', 'CVE-2025-66414'],
    run: async (outside) =>
      status(
        await outside.send({ headers: [['Host', 'probe.invalid'], ...json], body: listTools }),
        [400, 403, 404, 421],
      ),
  },
  {
    id: 'LP-106',
    title: 'A second Host is refused.',
    severity: 'medium',
    why: 'A proxy goes by the one and the server by the other.',
    fix: 'Answer 400 to a request with two Host lines.',
    source: ['RFC 9112', 'ASVS 5.0 V15.3.7'],
    run: async (outside) =>
      status(
        await outside.send({
          headers: [['Host', outside.url.host], ['Host', 'probe.invalid'], ...json],
          body: listTools,
        }),
        [400],
        true,
      ),
  },
  {
    id: 'LP-107',
    title: 'A target with a scheme and a host is refused.',
    severity: 'medium',
    why: 'Such a target is for proxies; a server that takes it may go by its host and not by Host.',
    fix: 'Take targets that begin with a slash, and no others.',
    source: ['RFC 9112', 'ASVS 5.0 V4.1.4'],
    run: async (outside) =>
      status(
        await outside.send({ target: 'http://probe.invalid/mcp', headers: json, body: listTools }),
        [400, 403, 404, 421],
        true,
      ),
  },
  {
    id: 'LP-108',
    title: 'TRACE is refused.',
    severity: 'medium',
    why: 'It sends the request back, with what a proxy added and a page may not read.',
    fix: 'Serve the methods that are used, and answer 405 to others.',
    source: ['ASVS 5.0 V13.4.4', 'ASVS 5.0 V4.1.4'],
    run: async (outside) => status(await outside.send({ verb: 'TRACE' }), [400, 403, 404, 405, 501], true),
  },
  {
    id: 'LP-109',
    title: 'A request that ends in two places is refused.',
    severity: 'high',
    why: 'With Content-Length and Transfer-Encoding at once a proxy and the server see two different requests.',
    fix: 'Read HTTP strictly: answer 400 and close.',
    source: ['ASVS 5.0 V4.2.1', 'RFC 9112'],
    run: async (outside) =>
      status(
        await outside.raw(
          [
            `POST ${outside.url.pathname} HTTP/1.1`,
            `Host: ${outside.url.host}`,
            'Content-Type: application/json',
            'Content-Length: 5',
            'Transfer-Encoding: chunked',
            '',
            '0',
            '',
            '',
          ].join('\r\n'),
        ),
        [400],
        true,
      ),
  },
  {
    id: 'LP-110',
    title: 'A method in disguise is not believed.',
    severity: 'low',
    why: 'X-HTTP-Method-Override turns a harmless method into another behind the proxy that allowed it.',
    fix: 'Do not read such headers.',
    source: ['ASVS 5.0 V4.1.4'],
    async run(outside) {
      const verb = 'PUT'
      const found = await outside.send({
        verb,
        headers: [...json, ['X-HTTP-Method-Override', 'POST']],
        body: listTools,
      })
      return status(found, [400, 401, 403, 404, 405, 501], true)
    },
  },
  {
    id: 'LP-111',
    title: 'Credentials travel under TLS beyond this machine.',
    severity: 'high',
    why: 'Whoever is in between reads the keys and the answers.',
    fix: 'Serve it with TLS, or call it by the https address of the proxy in front.',
    source: ['ASVS 5.0 V12.2.1', 'MCP authorization'],
    async run({ url, tls }) {
      const host = url.hostname.replace(/^\[|\]$/g, '')
      const near = host === 'localhost' || host === '::1' || /^127\./.test(host)
      return tls || near
        ? { expected: 'https, or loopback', got: tls ? 'https' : 'loopback', ok: true }
        : { expected: 'https', got: 'http', ok: false }
    },
  },
  {
    id: 'LP-112',
    title: 'Old versions of TLS are refused.',
    severity: 'high',
    why: 'TLS 1.0 and 1.1 are broken.',
    fix: 'Offer TLS 1.2 and 1.3 alone.',
    source: ['ASVS 5.0 V12.1.1'],
    async run(outside) {
      if (!outside.tls) return undefined
      const old = []
      for (const version of ['TLSv1', 'TLSv1.1'] as const) if (await outside.speaks(version)) old.push(version)
      return { expected: 'neither', got: old.length === 0 ? 'neither' : old.join(', '), ok: old.length === 0 }
    },
  },
  {
    id: 'LP-113',
    title: 'TLS 1.3 is offered.',
    severity: 'low',
    why: 'It is faster, and leaves out all that was weak.',
    fix: 'Offer it beside TLS 1.2.',
    source: ['ASVS 5.0 V12.1.1'],
    async run(outside) {
      if (!outside.tls) return undefined
      const ok = await outside.speaks('TLSv1.3')
      return { expected: 'TLS 1.3', got: ok ? 'TLS 1.3' : 'not offered', ok }
    },
  },
  {
    id: 'LP-114',
    title: 'The certificate is one that clients trust.',
    severity: 'medium',
    why: 'Clients refuse it, or are taught to look away.',
    fix: 'Take one from an authority that the clients trust, for the name they use.',
    source: ['ASVS 5.0 V12.2.2', 'ASVS 5.0 V12.3.2'],
    async run(outside) {
      if (!outside.tls) return undefined
      const problem = await outside.certificateProblem()
      return { expected: 'trusted', got: problem ?? 'trusted', ok: problem === undefined }
    },
  },
  {
    id: 'LP-115',
    title: 'What comes in clear to a TLS port is not sent elsewhere.',
    severity: 'medium',
    why: 'A client that was redirected has already sent its key in clear, and nobody notices.',
    fix: 'Close the connection, or refuse.',
    source: ['ASVS 5.0 V4.1.2'],
    async run(outside) {
      if (!outside.tls) return undefined
      const found = await outside.plain({ headers: json, body: listTools })
      const ok = !isAnswer(found) || found.status >= 400
      return { expected: 'closed or refused', got: isAnswer(found) ? String(found.status) : 'closed', ok }
    },
  },
]
