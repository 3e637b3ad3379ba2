import { type Limit, limitOf, type OnStoreFailure } from './limit-store.ts'

/** What a rule counts apart: each value has a bucket of its own. */
export const dimensions = [
  'address',
  'tenant',
  'principal',
  'key',
  'agent',
  'scope',
  'endpoint',
  'tool',
  'session',
  'everyone',
] as const
export type Dimension = (typeof dimensions)[number]

/** Where a call came in. */
export const endpoints = ['mcp', 'control'] as const
export type Endpoint = (typeof endpoints)[number]

export type Count = 'all' | 'successes' | 'failures'

/** A rule as the configuration gives it. */
export interface RuleSettings {
  readonly name: string
  readonly per: readonly Dimension[]
  readonly scopes?: readonly string[] | undefined
  readonly tools?: readonly string[] | undefined
  readonly endpoints?: readonly Endpoint[] | undefined
  readonly methods?: readonly string[] | undefined
  readonly callsMax: number
  readonly windowMs: number
  readonly burst?: number | undefined
  readonly cost?: number | undefined
  readonly count: Count
  readonly onStoreFailure: OnStoreFailure
}

/** A rule made ready. What it does not name it applies to. */
export interface Rule {
  readonly limit: Limit
  readonly per: readonly Dimension[]
  readonly scopes: ReadonlySet<string> | undefined
  readonly tools: ReadonlySet<string> | undefined
  readonly endpoints: ReadonlySet<string> | undefined
  readonly methods: ReadonlySet<string> | undefined
  /** What a call costs here, whatever the tool says. */
  readonly cost: number | undefined
  readonly count: Count
  /**
   * What must be known before it can be taken: `arrival` nothing but the address, `caller` who calls and where, `call` what
   * is called.
   */
  readonly needs: 'arrival' | 'caller' | 'call'
}

/** The buckets of these belong to one tenant or less: who asks may be told what is left. */
const own: ReadonlySet<Dimension> = new Set(['tenant', 'principal', 'key', 'agent', 'session'])
const arrival: ReadonlySet<Dimension> = new Set(['address', 'everyone'])
const caller: ReadonlySet<Dimension> = new Set(['tenant', 'principal', 'key', 'agent', 'endpoint', 'everyone'])

export function ruleOf(settings: RuleSettings): Rule {
  const { per, scopes, tools, endpoints, methods, count } = settings
  const ofCall = scopes !== undefined || tools !== undefined || methods !== undefined
  const needs =
    !ofCall && endpoints === undefined && count === 'all' && per.every((each) => arrival.has(each))
      ? 'arrival'
      : !ofCall && per.every((each) => caller.has(each))
        ? 'caller'
        : 'call'
  return Object.freeze({
    limit: limitOf({ ...settings, told: per.some((each) => own.has(each)), anybody: needs === 'arrival' }),
    per,
    scopes: scopes && new Set(scopes),
    tools: tools && new Set(tools),
    endpoints: endpoints && new Set<string>(endpoints),
    methods: methods && new Set(methods),
    cost: settings.cost,
    count,
    needs,
  })
}

/** The settings that rules are made of. */
export interface RateSettings {
  readonly enabled: boolean
  readonly callsMax: number
  readonly windowMs: number
  readonly count: Count
  readonly rules: readonly RuleSettings[]
}

/** The rules in force: the one for every credential, and those that the configuration names. */
export function rulesOf({ enabled, callsMax, windowMs, count, rules }: RateSettings): readonly Rule[] {
  if (!enabled) return []
  // Reading goes on while a shared store is gone: no more of it than one process admits alone.
  const every: RuleSettings = {
    name: 'calls',
    per: ['key'],
    callsMax,
    windowMs,
    count,
    onStoreFailure: 'limit-locally',
  }
  return [every, ...rules].map(ruleOf)
}

/** The limits that never let this tool be called, because it costs more than they hold. */
export function unaffordable(
  rules: readonly Rule[],
  { name, scope, cost }: { readonly name: string; readonly scope: string | undefined; readonly cost: number },
): readonly string[] {
  const named = new Set(rules.flatMap(({ scopes }) => [...(scopes ?? [])]))
  const counted = countedScope(scope, named)
  return rules
    .filter(
      (rule) =>
        rule.cost === undefined &&
        cost > rule.limit.burst &&
        rule.tools?.has(name) !== false &&
        rule.scopes?.has(counted) !== false,
    )
    .map(({ limit }) => limit.name)
}

const builtIn: ReadonlySet<string> = new Set(['read', 'write', 'admin'])

/**
 * The scope that a call counts as. What needs no scope counts as `read`; a scope of the project's own as `write`, unless a
 * rule names it.
 */
export function countedScope(scope: string | undefined, named: ReadonlySet<string>): string {
  if (scope === undefined) return 'read'
  return builtIn.has(scope) || named.has(scope) ? scope : 'write'
}
