import { header, isAnswer, json, listTools, type Outside, type Probe, seen, status, wants } from './probe.ts'

/** The metadata of the resource, or what came in its place. */
async function metadata(outside: Outside) {
  const path = outside.url.pathname === '/' ? '' : outside.url.pathname
  const found = await outside.send({ verb: 'GET', target: `/.well-known/oauth-protected-resource${path}` })
  if (!isAnswer(found) || found.status !== 200) return { found, document: undefined }
  try {
    const document: unknown = JSON.parse(found.body)
    return { found, document: typeof document === 'object' ? (document as Record<string, unknown> | null) : null }
  } catch {
    return { found, document: null }
  }
}

const shut = async (outside: Outside, targets: readonly string[]) => {
  for (const target of targets) {
    const found = await outside.send({ verb: 'GET', target })
    const outcome = status(found, [401, 403, 404, 405], true)
    if (!outcome.ok) return { ...outcome, got: `${outcome.got} for ${target}` }
  }
  return { expected: '401 or 404', got: 'refused', ok: true }
}

/** What every answer carries, and what else is open. */
export const surfaceProbes: readonly Probe[] = [
  {
    id: 'LP-301',
    title: 'Answers are taken for what they say they are.',
    severity: 'low',
    why: 'A browser that guesses makes a page of an answer.',
    fix: 'Send X-Content-Type-Options: nosniff, and a Content-Type with its charset.',
    source: ['ASVS 5.0 V3.4.4', 'ASVS 5.0 V4.1.1'],
    async run(outside) {
      const found = await outside.bare()
      const got = header(found, 'x-content-type-options') ?? 'no X-Content-Type-Options'
      return wants('nosniff', found, got, got.toLowerCase() === 'nosniff')
    },
  },
  {
    id: 'LP-302',
    title: 'Answers are kept by nobody in between.',
    severity: 'medium',
    why: 'A cache would give the answer for one to another.',
    fix: 'Send Cache-Control: no-store.',
    source: ['ASVS 5.0 V14.3.2'],
    async run(outside) {
      const found = await outside.bare()
      const got = header(found, 'cache-control') ?? 'no Cache-Control'
      return wants('no-store', found, got, /\bno-store\b/.test(got))
    },
  },
  {
    id: 'LP-303',
    title: 'Answers do not say what they were made with.',
    severity: 'low',
    why: 'Name and version tell which holes to try.',
    fix: 'Leave Server and X-Powered-By out.',
    source: ['ASVS 5.0 V13.4.6'],
    async run(outside) {
      const found = await outside.bare()
      const names = ['server', 'x-powered-by', 'x-aspnet-version', 'via'].filter((name) => header(found, name))
      return wants('none', found, names.length === 0 ? 'none' : names.join(', '), names.length === 0)
    },
  },
  {
    id: 'LP-304',
    title: 'Under TLS browsers are told to stay there.',
    severity: 'low',
    why: 'The first call by http can be caught and kept there.',
    fix: 'Send Strict-Transport-Security with a year at the least.',
    source: ['ASVS 5.0 V3.4.1'],
    async run(outside) {
      if (!outside.tls) return undefined
      const found = await outside.bare()
      const got = header(found, 'strict-transport-security') ?? 'no Strict-Transport-Security'
      return wants('a year at the least', found, got, Number(/max-age=([0-9]+)/.exec(got)?.[1] ?? 0) >= 31_536_000)
    },
  },
  {
    id: 'LP-305',
    title: 'The metadata of the resource is there, and names this endpoint.',
    severity: 'medium',
    why: 'A client asks for a token for the resource that is named here; another name is another audience.',
    fix: 'Serve /.well-known/oauth-protected-resource with the path of the endpoint; set server.publicUrl.',
    source: ['RFC 9728', 'MCP authorization'],
    async run(outside) {
      const { found, document } = await metadata(outside)
      if (document === undefined) return status(found, [200])
      const resource = String(document?.['resource'] ?? 'no resource')
      const own = `${outside.url.origin}${outside.url.pathname}`
      return { expected: own, got: resource, ok: resource === own || (near(outside.url) && samePath(resource, own)) }
    },
  },
  {
    id: 'LP-306',
    title: 'The metadata does not come from the request.',
    severity: 'high',
    why: 'Whoever chooses Host would choose where clients go for their tokens.',
    fix: 'Build addresses from settings, never from Host.',
    source: ['RFC 9728', 'ASVS 5.0 V4.1.3'],
    async run(outside) {
      const path = outside.url.pathname === '/' ? '' : outside.url.pathname
      const found = await outside.send({
        verb: 'GET',
        target: `/.well-known/oauth-protected-resource${path}`,
        headers: [
          ['X-Forwarded-Host', 'probe.invalid'],
          ['Forwarded', 'host=probe.invalid'],
        ],
      })
      const repeated = isAnswer(found) && found.body.includes('probe.invalid')
      return wants('no name of ours', found, repeated ? 'the name from a header' : 'none of it', !repeated)
    },
  },
  {
    id: 'LP-307',
    title: 'Health says that it lives, and nothing more.',
    severity: 'low',
    why: 'Versions, hosts and states of the inside are for those who run it.',
    fix: 'Answer {"status":"ok"}.',
    source: ['ASVS 5.0 V13.4.5', 'ASVS 5.0 V13.4.6'],
    async run(outside) {
      const found = await outside.send({ verb: 'GET', target: '/health' })
      if (!isAnswer(found) || found.status !== 200) return undefined
      const ok = found.body.length <= 64 && !/version|uptime|memory|host|pid/i.test(found.body)
      return { expected: 'a word', got: ok ? 'a word' : `${found.body.length} characters`, ok }
    },
  },
  {
    id: 'LP-308',
    title: 'Metrics are not open.',
    severity: 'medium',
    why: 'They tell who is there, what is used and when something fails.',
    fix: 'Ask for a credential, or serve them on another listener.',
    source: ['ASVS 5.0 V13.4.5'],
    run: (outside) => shut(outside, ['/metrics', '/debug', '/debug/pprof/']),
  },
  {
    id: 'LP-309',
    title: 'The control plane is not open.',
    severity: 'high',
    why: 'Users, keys and the audit are behind it.',
    fix: 'Keep it on its own listener, on loopback.',
    source: ['ASVS 5.0 V8.4.2', 'OWASP MCP07'],
    run: (outside) => shut(outside, ['/api/users', '/api/api-keys', '/api/audit', '/api/sessions']),
  },
  {
    id: 'LP-310',
    title: 'Files of the project are not served.',
    severity: 'high',
    why: 'Secrets and source would be one request away.',
    fix: 'Serve the routes you know, and no folder.',
    source: ['ASVS 5.0 V13.4.1', 'ASVS 5.0 V13.3.1'],
    run: (outside) =>
      shut(outside, ['/.env', '/.git/HEAD', '/package.json', '/merlon.config.json', '/.merlon/root.key']),
  },
  {
    id: 'LP-311',
    title: 'Paths that only look like the endpoint are not served.',
    severity: 'high',
    why: 'A path that one part normalises and another does not goes round a guard.',
    fix: 'Compare paths exactly.',
    source: ['ASVS 5.0 V8.2.1', 'OWASP MCP07'],
    async run(outside) {
      const { pathname } = outside.url
      for (const target of [`/${pathname}`, `${pathname}/`, `/.${pathname}`, pathname.toUpperCase(), `${pathname};a`]) {
        if (target === pathname) continue
        const outcome = status(
          await outside.send({ target, headers: json, body: listTools }),
          [400, 401, 403, 404],
          true,
        )
        if (!outcome.ok) return { ...outcome, got: `${outcome.got} for ${target}` }
      }
      return { expected: '404', got: 'refused', ok: true }
    },
  },
  {
    id: 'LP-312',
    title: 'The answer to a call says how much may still be asked.',
    severity: 'info',
    why: 'A client that knows its limit keeps to it.',
    fix: 'Send RateLimit-Policy and RateLimit.',
    source: ['RateLimit headers'],
    async run(outside) {
      if (outside.key === undefined) return undefined
      const found = await outside.shows(outside.key)
      const got = header(found, 'ratelimit') ?? header(found, 'ratelimit-policy') ?? 'none'
      return wants('RateLimit headers', found, got, got !== 'none')
    },
  },
  {
    id: 'LP-313',
    title: 'The clock of the server is right.',
    severity: 'medium',
    why: 'Credentials and records are judged by it.',
    fix: 'Let the machine keep its time (NTP).',
    source: ['ASVS 5.0 V16.2.2', 'ASVS 5.0 V9.2.1'],
    async run(outside) {
      const found = await outside.bare()
      const date = header(found, 'date')
      // An answer without a Date is no wrong clock.
      if (date === undefined) return isAnswer(found) ? undefined : { expected: 'a Date', got: seen(found), ok: false }
      const apartMs = Math.abs(Date.parse(date) - outside.now())
      return { expected: 'within a minute', got: `${Math.round(apartMs / 1_000)} s apart`, ok: apartMs <= 60_000 }
    },
  },
]

function near(url: URL): boolean {
  return /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)
}

/** On loopback the server has several names, and says one of them. */
function samePath(resource: string, own: string): boolean {
  return URL.canParse(resource) && new URL(resource).pathname === new URL(own).pathname
}
