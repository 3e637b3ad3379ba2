import { builtInScopes } from './builtin-scopes.ts'
import { nearest } from './near.ts'
import type { ConfigInput } from './schema.ts'

/**
 * Reads a `dynemcp.config.json` as settings of ours, so that a project that has one runs with it unchanged.
 *
 * Every key of that document has a row below: the setting it becomes, or what happens instead. Where our reading is
 * stricter a warning says so; where two keys contradict, the stricter is in force. A key without a row is a problem.
 */
export interface Mapped {
  readonly input: ConfigInput
  /** Our dotted path → the path in the document that it came from. */
  readonly from: ReadonlyMap<string, readonly string[]>
  readonly problems: readonly Note[]
  readonly warnings: readonly Note[]
}

export interface Note {
  readonly path: readonly string[]
  readonly says: string
  readonly fix?: string
  /** The rule of the configuration audit that it breaks. */
  readonly rule?: string
}

type Row =
  /** Becomes this setting; the schema checks the value. `read` turns it into our form first. */
  | { readonly to: string; readonly read?: (value: unknown) => Reading }
  /** Has no setting: what its value means for us. */
  | { readonly read: (value: unknown) => Reading }
  /** Is read together with others, in `combine`. */
  | { readonly combined: (value: unknown) => Reading }

interface Reading {
  readonly value?: unknown
  readonly warns?: string
  readonly refuses?: string
  readonly fix?: string
}

const rows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['transport.type', { read: only('streamable-http', 'this release serves Streamable HTTP') }],
  ['transport.options.port', { to: 'server.port' }],
  ['transport.options.host', { to: 'server.host' }],
  ['transport.options.endpoint', { to: 'server.endpoint' }],
  ['transport.options.responseMode', { to: 'server.responseMode', read: responseMode }],

  ['transport.options.session.enabled', { to: 'session.enabled' }],
  ['transport.options.session.headerName', { to: 'session.headerName' }],
  ['transport.options.session.allowClientTermination', { to: 'session.clientTermination' }],
  ['transport.options.session.maxDuration', { to: 'session.durationMs' }],
  ['transport.options.session.cleanup.enabled', { read: stays('ended sessions are always cleared away') }],
  ['transport.options.session.cleanup.interval', { to: 'session.sweepMs' }],

  ['transport.options.resumability.enabled', { to: 'resumability.enabled' }],
  ['transport.options.resumability.historyDuration', { to: 'resumability.historyMs' }],
  ['transport.options.resumability.headerName', { to: 'resumability.headerName' }],
  ['transport.options.resumability.maxEvents', { to: 'resumability.eventsMax' }],

  ['transport.options.cors.allowOrigin', { combined: originsOf }],
  ['transport.options.cors.allowMethods', { to: 'cors.allowedMethods', read: methods }],
  ['transport.options.cors.allowHeaders', { to: 'cors.allowedHeaders', read: listOf }],
  ['transport.options.cors.exposeHeaders', { combined: listOf }],
  ['transport.options.cors.maxAge', { to: 'cors.maxAgeSeconds', read: maxAge }],
  ['transport.options.cors.credentials', { combined: yesNo }],

  ['transport.options.authentication.path', { to: 'authentication.module' }],
  ['transport.options.authentication.required', { read: stays('a credential is always required') }],
  ['transport.options.authentication.scopes', { combined: listOf }],

  ['transport.options.healthCheck.enabled', { to: 'health.enabled' }],
  ['transport.options.healthCheck.endpoint', { to: 'health.path' }],
  ['transport.options.healthCheck.auth', { to: 'health.authentication' }],

  ['transport.options.maxMessageSize', { to: 'limits.messageBytesMax', read: byteSize }],

  ['transport.options.compression.enabled', { to: 'compression.enabled', read: compression }],
  ['transport.options.compression.threshold', { to: 'compression.thresholdBytes', read: byteSize }],
  ['transport.options.compression.level', { to: 'compression.level' }],

  ['transport.options.security.dnsRebindingProtection', { read: stays('the Host and Origin checks stay on') }],
  ['transport.options.security.hostnameValidation', { read: stays('the Host check stays on') }],
  ['transport.options.security.rateLimiting.enabled', { combined: yesNo }],
  ['transport.options.security.rateLimiting.windowMs', { combined: positive }],
  ['transport.options.security.rateLimiting.maxRequests', { combined: positive }],
  ['transport.options.security.rateLimiting.skipOnSuccess', { combined: yesNo }],

  ['security.enableValidation', { read: stays('arguments are always checked') }],
  ['security.strictMode', { read: stays('unknown fields are always refused') }],
  ['security.allowedOrigins', { combined: originsOf }],
  ['security.rateLimit.enabled', { combined: yesNo }],
  ['security.rateLimit.maxRequests', { combined: positive }],
  ['security.rateLimit.windowMs', { combined: positive }],
  ['security.encryption.enabled', { read: stays('sealing cannot be switched off') }],
  ['security.encryption.algorithm', { read: only('aes-256-gcm', 'nothing else is used for sealing') }],
])

/** Every key of the document, by dotted path. */
export const dynemcpKeys: Iterable<string> = [...rows.keys()]

const sections: ReadonlySet<string> = new Set(
  [...rows.keys()].flatMap((key) => {
    const parts = key.split('.')
    return parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('.'))
  }),
)

/** Where a whole section may be `false`, what that means. */
const sectionsOff: ReadonlyMap<string, string> = new Map([
  ['transport.options.cors', 'transport.options.cors.allowOrigin'],
])

export function mapDynemcp(document: Readonly<Record<string, unknown>>): Mapped {
  const mapping = new Mapping()
  mapping.walk(document, [])
  mapping.combineOrigins()
  mapping.combineExposed()
  mapping.combineRateLimits()
  mapping.combineScopes()
  return mapping
}

interface RateLimit {
  readonly key: string
  readonly enabled: boolean
  /** Whether calls that end well do not count. */
  readonly failuresAlone: boolean
  readonly callsMax: number
  readonly windowMs: number
}

class Mapping implements Mapped {
  readonly input: ConfigInput & Record<string, Record<string, unknown>> = {}
  readonly from = new Map<string, readonly string[]>()
  readonly problems: Note[] = []
  readonly warnings: Note[] = []
  readonly #combined = new Map<string, unknown>()

  walk(node: Readonly<Record<string, unknown>>, path: readonly string[]): void {
    for (const [name, value] of Object.entries(node)) {
      const inner = [...path, name]
      const key = inner.join('.')
      const row = rows.get(key)
      const off = sectionsOff.get(key)
      if (row !== undefined) this.#apply(row, key, inner, value)
      else if (off !== undefined && value === false) this.#apply(rows.get(off)!, off, inner, value)
      else if (!sections.has(key))
        this.problems.push({ path: inner, says: 'there is no such key', fix: meant(path, name) })
      else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        this.walk(value as Record<string, unknown>, inner)
      } else this.problems.push({ path: inner, says: 'takes an object' })
    }
  }

  #apply(row: Row, key: string, path: readonly string[], value: unknown): void {
    const reading = 'combined' in row ? row.combined(value) : (row.read?.(value) ?? { value })
    if (reading.refuses !== undefined) {
      this.problems.push({ path, says: reading.refuses, ...(reading.fix === undefined ? {} : { fix: reading.fix }) })
      return
    }
    if (reading.warns !== undefined) this.warnings.push({ path, says: reading.warns })
    if ('combined' in row) this.#combined.set(key, reading.value)
    else if ('to' in row) this.#put(row.to, path, reading.value)
  }

  #put(setting: string, path: readonly string[], value: unknown): void {
    const [section = '', name] = setting.split('.')
    if (name === undefined) Object.assign(this.input, { [section]: value })
    else {
      this.input[section] ??= {}
      this.input[section][name] = value
    }
    this.from.set(setting, path)
  }

  /** Two lists of origins: only what both name may call. */
  combineOrigins(): void {
    const corsKey = 'transport.options.cors.allowOrigin'
    const securityKey = 'security.allowedOrigins'
    const cors = this.#combined.get(corsKey) as readonly string[] | '*' | undefined
    const security = this.#combined.get(securityKey) as readonly string[] | '*' | undefined
    const credentials = this.#combined.get('transport.options.cors.credentials') === true
    if (credentials) {
      this.warnings.push({
        path: 'transport.options.cors.credentials'.split('.'),
        says: 'browsers are not told to send cookies: a key travels in a header that the page sets itself, and no cookie means anything here',
      })
    }
    for (const [key, list] of [
      [corsKey, cors],
      [securityKey, security],
    ] as const) {
      if (list !== '*') continue
      this.problems.push({
        path: key.split('.'),
        says: credentials ? 'is every origin, with credentials' : 'is every origin',
        fix: 'Name the origins of your pages; programs that are not web pages send no Origin and need none',
        rule: 'CA-106',
      })
    }
    if (cors === '*' || security === '*') return
    const both =
      cors !== undefined && security !== undefined ? cors.filter((origin) => security.includes(origin)) : undefined
    if (both !== undefined && (both.length < cors!.length || both.length < security!.length)) {
      this.warnings.push({
        path: securityKey.split('.'),
        says: `differs from ${corsKey}; only the origins that both name may call (${both.length})`,
      })
    }
    const origins = both ?? cors ?? security
    if (origins !== undefined)
      this.#put('cors.allowedOrigins', (cors === undefined ? securityKey : corsKey).split('.'), origins)
  }

  /** A page that may read X-RateLimit headers expects them. */
  combineExposed(): void {
    const key = 'transport.options.cors.exposeHeaders'
    const names = this.#combined.get(key) as readonly string[] | undefined
    if (names === undefined) return
    this.#put('cors.exposedHeaders', key.split('.'), names)
    if (names.some((name) => /^x-ratelimit-/i.test(name)))
      this.#put('rateLimit.headers', key.split('.'), ['standard', 'x'])
  }

  /** Two rate limits: the one that admits fewer calls in a second; and calls that end well count where either counts them. */
  combineRateLimits(): void {
    const found = ['transport.options.security.rateLimiting', 'security.rateLimit'].flatMap((key) => {
      const limit = this.#rateLimit(key)
      return limit === undefined ? [] : [limit]
    })
    if (found.length === 0) return
    const counting = found.filter(({ enabled }) => enabled)
    if (counting.length === 0) {
      this.#put('rateLimit.enabled', [...found[0]!.key.split('.'), 'enabled'], false)
      return
    }
    const [first, second] = counting
    const secondIsStricter =
      second !== undefined &&
      (second.callsMax * first!.windowMs < first!.callsMax * second.windowMs ||
        (second.callsMax * first!.windowMs === first!.callsMax * second.windowMs && second.callsMax < first!.callsMax))
    const strictest = secondIsStricter ? second : first!
    const other = found.find((limit) => limit !== strictest)
    if (other !== undefined && !sameLimit(strictest, other)) {
      this.warnings.push({
        path: other.key.split('.'),
        says: `is not in force: ${strictest.key} is stricter (${strictest.callsMax} calls in ${strictest.windowMs} ms)`,
      })
    }
    const path = strictest.key.split('.')
    const relaxed = counting.find(({ failuresAlone }) => failuresAlone)
    if (relaxed !== undefined && counting.every(({ failuresAlone }) => failuresAlone)) {
      this.#put('rateLimit.count', [...relaxed.key.split('.'), 'skipOnSuccess'], 'failures')
    } else if (relaxed !== undefined) {
      this.warnings.push({
        path: [...relaxed.key.split('.'), 'skipOnSuccess'],
        says: 'has no effect: the other limit counts every call, the successful too',
      })
    }
    this.#put('rateLimit.enabled', [...path, 'enabled'], true)
    this.#put('rateLimit.callsMax', [...path, 'maxRequests'], strictest.callsMax)
    this.#put('rateLimit.windowMs', [...path, 'windowMs'], strictest.windowMs)
  }

  #rateLimit(key: string): RateLimit | undefined {
    const [enabled, callsMax, windowMs, skips] = ['enabled', 'maxRequests', 'windowMs', 'skipOnSuccess'].map((name) =>
      this.#combined.get(`${key}.${name}`),
    )
    if ([enabled, callsMax, windowMs, skips].every((value) => value === undefined)) return undefined
    return {
      key,
      enabled: enabled !== false,
      failuresAlone: skips === true,
      callsMax: typeof callsMax === 'number' ? callsMax : 100,
      windowMs: typeof windowMs === 'number' ? windowMs : 60_000,
    }
  }

  /** The scopes that exist: own ones are declared, and a built-in one that is not listed is taken from every role. */
  combineScopes(): void {
    const key = 'transport.options.authentication.scopes'
    const listed = this.#combined.get(key) as readonly string[] | undefined
    if (listed === undefined) return
    const path = key.split('.')
    const own = listed.filter((scope) => !builtInScopes.includes(scope))
    const kept = (scopes: readonly string[]): string[] => scopes.filter((scope) => listed.includes(scope))
    this.#put('scopes', path, own)
    this.#put('roles', path, {
      user: kept(['read', 'write']),
      admin: [...kept(['read', 'write', 'admin']), ...own],
      operator: [...kept(['read', 'write', 'admin']), ...own],
    })
    if (own.length > 0) {
      this.warnings.push({
        path,
        says: 'names scopes of your own; the roles admin and operator hold them, the role user does not',
      })
    }
  }
}

function meant(path: readonly string[], name: string): string {
  const prefix = path.length === 0 ? '' : `${path.join('.')}.`
  const siblings = [...rows.keys()].flatMap((key) =>
    key.startsWith(prefix) ? [key.slice(prefix.length).split('.')[0]!] : [],
  )
  const near = nearest(name, siblings)
  return near === undefined ? 'Remove it' : `Did you mean ${prefix}${near}?`
}

function sameLimit(left: RateLimit, right: RateLimit): boolean {
  return left.enabled === right.enabled && left.callsMax === right.callsMax && left.windowMs === right.windowMs
}

function yesNo(value: unknown): Reading {
  return typeof value === 'boolean' ? { value } : { refuses: 'takes true or false' }
}

/** A protection that is always on. */
function stays(says: string): (value: unknown) => Reading {
  return (value) => (value === false ? { warns: `false has no effect: ${says}` } : yesNo(value))
}

function only(one: string, why: string): (value: unknown) => Reading {
  return (value) => (value === one ? {} : { refuses: `takes ${one}: ${why}` })
}

function positive(value: unknown): Reading {
  return Number.isSafeInteger(value) && (value as number) > 0 ? { value } : { refuses: 'takes a whole number above 0' }
}

function compression(value: unknown): Reading {
  if (value !== true) return yesNo(value)
  return {
    value,
    warns:
      'compresses what anybody may read; the answer to a credential is not compressed, for its size would tell of secrets in it',
  }
}

function responseMode(value: unknown): Reading {
  if (value === 'batch') return { value: 'json' }
  return { value }
}

function maxAge(value: unknown): Reading {
  if (typeof value !== 'number' || value <= 7200) return { value }
  return { value: 7200, warns: 'is lowered to 7200 seconds, the most that browsers keep' }
}

/** A list, or a text with commas. */
function listOf(value: unknown): Reading {
  if (typeof value === 'string') {
    return {
      value: value
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
    }
  }
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return { value }
  return { refuses: 'takes a list of texts, or a text with commas' }
}

/** A list, a text with commas, `*`, or `false` for none. */
function originsOf(value: unknown): Reading {
  if (value === false) return { value: [] }
  const list = listOf(value)
  return Array.isArray(list.value) && list.value.includes('*') ? { value: '*' } : list
}

const served: ReadonlySet<string> = new Set(['GET', 'POST', 'DELETE', 'OPTIONS'])

function methods(value: unknown): Reading {
  const list = listOf(value)
  if (!Array.isArray(list.value)) return list
  const named: string[] = list.value.map((method: string) => method.toUpperCase())
  const kept = named.filter((method) => served.has(method))
  return kept.length === named.length
    ? { value: kept }
    : { value: kept, warns: `names methods that are not served; in force: ${kept.join(', ') || 'none'}` }
}

/** `2mb`, `512kb`, `1048576`: units of 1024. */
function byteSize(value: unknown): Reading {
  if (typeof value === 'number') return { value }
  const found =
    typeof value === 'string' ? /^([0-9]{1,12})(?:\.([0-9]{1,3}))?\s*(b|kb|mb|gb)?$/i.exec(value.trim()) : null
  if (found === null) return { refuses: 'takes a size such as 2mb or 512kb' }
  const units = { b: 1, kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 }
  const unit = (found[3]?.toLowerCase() ?? 'b') as keyof typeof units
  return { value: Math.floor(Number(`${found[1]}.${found[2] ?? '0'}`) * units[unit]) }
}
