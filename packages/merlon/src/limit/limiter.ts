import type { Awaitable, Instant, Principal } from '../call.ts'
import { type Limit, type LimitStore, limitOf, type Refused, type Take, type Taken, takeOf } from './limit-store.ts'
import { countedScope, type Dimension, type Endpoint, type Rule } from './rules.ts'

/** What must be given back when it is known how a call ended. */
export interface Reserved {
  readonly afterSuccess: readonly Take[]
  readonly afterFailure: readonly Take[]
}

/** What one kind of call of one principal costs; made once for many calls. */
export interface Plan {
  readonly takes: readonly Take[]
  readonly reserved: Reserved | undefined
  /** Rules whose bucket is known only with the call. */
  readonly open: readonly OpenRule[]
}

interface OpenRule {
  readonly rule: Rule
  takeFor(session: string | undefined, address: string): Take | undefined
}

interface Plans {
  /** What is counted for whatever comes from the principal. */
  readonly caller: readonly Take[]
  readonly reserved: Reserved | undefined
  readonly calls: Map<string, Plan>
}

/** What a call asks for, as it is counted. */
interface Asked {
  readonly method: string
  readonly scope: string
  readonly tool: string | undefined
  readonly cost: number
}

export interface LimiterOptions {
  readonly store: LimitStore
  readonly rules: readonly Rule[]
  readonly failuresMax: number
  /** Of messages over sockets, whatever is in them. Default: no limit of their own. */
  readonly messages?: { readonly callsMax: number; readonly windowMs: number } | undefined
}

const failureLevels = 6
const failureSlots = 16
const nothing: readonly never[] = Object.freeze([])

/** Holds the rules against the store. */
export class Limiter {
  readonly store: LimitStore
  readonly #arrival: readonly Rule[]
  readonly #caller: readonly Rule[]
  readonly #call: readonly Rule[]
  readonly #named: ReadonlySet<string>
  /** Whether calls are told apart by method or tool at all. */
  readonly #methodsMatter: boolean
  readonly #toolsMatter: boolean
  readonly #plans: Readonly<Record<Endpoint, WeakMap<Principal, Plans>>> = {
    mcp: new WeakMap(),
    control: new WeakMap(),
  }
  readonly #failures: readonly Limit[]
  readonly #keyFailures: Limit
  readonly #messages: Limit | undefined

  constructor({ store, rules, failuresMax, messages }: LimiterOptions) {
    this.store = store
    this.#arrival = rules.filter(({ needs }) => needs === 'arrival')
    this.#caller = rules.filter(({ needs }) => needs === 'caller')
    this.#call = rules.filter(({ needs }) => needs === 'call')
    this.#named = new Set(rules.flatMap(({ scopes }) => [...(scopes ?? [])]))
    this.#methodsMatter = rules.some(({ methods }) => methods !== undefined)
    this.#toolsMatter = rules.some(({ tools, per }) => tools !== undefined || per.includes('tool'))
    // Each level holds twice as many as the one before and gives half as many a minute: the wait between guesses doubles.
    this.#failures = Array.from({ length: failureLevels }, (_, level) =>
      limitOf({
        name: level === 0 ? 'failures' : `failures-${level + 1}`,
        callsMax: failuresMax * 2 ** level,
        windowMs: 60_000 * 4 ** level,
        anybody: true,
        onStoreFailure: 'limit-locally',
      }),
    )
    this.#keyFailures = limitOf({
      name: 'failures-of-key',
      callsMax: Math.ceil(failuresMax / 2),
      windowMs: 60_000,
      anybody: true,
      onStoreFailure: 'limit-locally',
    })
    this.#messages = messages && limitOf({ name: 'messages', ...messages, onStoreFailure: 'limit-locally' })
  }

  /** Whether anything is counted before it is known who calls. */
  get limitsArrivals(): boolean {
    return this.#arrival.length > 0
  }

  /** Takes what is counted before it is known who calls. */
  takeArrival(address: string, now: Instant): Awaitable<Taken | Refused> {
    return this.store.take(
      this.#arrival.map((rule) =>
        takeOf(rule.limit, partsOf(rule.per, (each) => (each === 'address' ? address : '')) ?? [], rule.cost ?? 1),
      ),
      now,
    )
  }

  /**
   * Takes one failed authentication of an address, and of a key from there. Of the key's id, which is a stranger's text,
   * only one of a few slots is kept.
   */
  takeFailure(address: string, credential: string | undefined, now: Instant): Awaitable<Taken | Refused> {
    const takes = this.#failures.map((limit) => takeOf(limit, [address]))
    if (credential !== undefined) takes.push(takeOf(this.#keyFailures, [address, slotOf(credential)]))
    return this.store.take(takes, now)
  }

  /** Gives back one that was taken of an address before it was known that it was no failure. */
  giveBackFailure(address: string, now: Instant): Awaitable<void> {
    return this.store.giveBack(
      this.#failures.map((limit) => takeOf(limit, [address])),
      now,
    )
  }

  /** Takes one message over a socket; `undefined` where these have no limit of their own. */
  takeMessage(principal: Principal, now: Instant): Awaitable<Taken | Refused> | undefined {
    return this.#messages && this.store.take([takeOf(this.#messages, [principal.binding])], now)
  }

  /** Whether the principal is known to have nothing left, before it is known what it asks for. */
  peek(principal: Principal, endpoint: Endpoint, now: Instant): Refused | undefined {
    const { caller } = this.#plansOf(principal, endpoint)
    return caller.length === 0 ? undefined : this.store.peek(caller, now)
  }

  /**
   * What a call of this kind costs this principal. `method` is one of the protocol, or of HTTP where there is no message;
   * `scope` is undefined where the call asks for none.
   */
  plan(
    principal: Principal,
    endpoint: Endpoint,
    method: string,
    scope: string | undefined,
    tool: string | undefined,
    cost: number,
  ): Plan {
    const { calls, caller } = this.#plansOf(principal, endpoint)
    const counted = countedScope(scope, this.#named)
    let kind = counted
    if (this.#toolsMatter && tool !== undefined) kind += `\n${tool}`
    if (this.#methodsMatter) kind += `\n\n${method}`
    if (cost !== 1) kind += `\n\n\n${cost}`
    let plan = calls.get(kind)
    if (plan === undefined) {
      plan = this.#makePlan(principal, endpoint, { method, scope: counted, tool, cost }, caller)
      calls.set(kind, plan)
    }
    return plan
  }

  /** Takes all that a call costs, in one act. */
  take(plan: Plan, session: string | undefined, address: string, now: Instant): Awaitable<Taken | Refused> {
    if (plan.open.length === 0) return this.store.take(plan.takes, now)
    return this.store.take([...plan.takes, ...openTakes(plan.open, session, address)], now)
  }

  /** What of it is given back when it is known how the call ended. */
  reserved(plan: Plan, session: string | undefined, address: string): Reserved | undefined {
    const open = plan.open.filter(({ rule }) => rule.count !== 'all')
    if (open.length === 0) return plan.reserved
    const of = (count: Rule['count']) =>
      openTakes(
        open.filter(({ rule }) => rule.count === count),
        session,
        address,
      )
    return {
      afterSuccess: [...(plan.reserved?.afterSuccess ?? []), ...of('failures')],
      afterFailure: [...(plan.reserved?.afterFailure ?? []), ...of('successes')],
    }
  }

  /** Takes what a call costs that was refused before it was known what it asks for. */
  takeRefused(principal: Principal, endpoint: Endpoint, now: Instant): Awaitable<Taken | Refused> {
    const { caller, reserved } = this.#plansOf(principal, endpoint)
    const successes = reserved?.afterFailure ?? nothing
    return this.store.take(successes.length === 0 ? caller : caller.filter((take) => !successes.includes(take)), now)
  }

  #plansOf(principal: Principal, endpoint: Endpoint): Plans {
    const known = this.#plans[endpoint].get(principal)
    if (known !== undefined) return known
    const asked = { method: '', scope: '', tool: undefined, cost: 1 }
    const counted = this.#caller
      .filter((rule) => rule.endpoints?.has(endpoint) !== false)
      .flatMap((rule) => {
        const parts = partsOf(rule.per, (each) => partOf(each, principal, endpoint, asked))
        return parts === undefined ? [] : [{ rule, take: takeOf(rule.limit, parts, rule.cost ?? 1) }]
      })
    const plans = { caller: counted.map(({ take }) => take), reserved: reservedOf(counted), calls: new Map() }
    this.#plans[endpoint].set(principal, plans)
    return plans
  }

  #makePlan(principal: Principal, endpoint: Endpoint, asked: Asked, caller: readonly Take[]): Plan {
    const counted: Counted[] = []
    const open: OpenRule[] = []
    for (const rule of [...this.#caller, ...this.#call]) {
      if (!applies(rule, endpoint, asked)) continue
      const cost = rule.cost ?? asked.cost
      const take = (session?: string, address?: string) => {
        const parts = partsOf(rule.per, (each) =>
          each === 'session' ? session : each === 'address' ? address : partOf(each, principal, endpoint, asked),
        )
        return parts && takeOf(rule.limit, parts, cost)
      }
      if (rule.per.includes('session') || rule.per.includes('address')) open.push({ rule, takeFor: take })
      else {
        const made = take()
        // The same object as for any call of the principal, where it costs the same.
        const shared = made && caller.find(({ bucket, cost }) => bucket === made.bucket && cost === made.cost)
        if (made !== undefined) counted.push({ rule, take: shared ?? made })
      }
    }
    return {
      takes: counted.map(({ take }) => take),
      reserved: reservedOf(counted),
      open,
    }
  }
}

interface Counted {
  readonly rule: Rule
  readonly take: Take
}

function reservedOf(counted: readonly Counted[]): Reserved | undefined {
  const of = (count: Rule['count']) => counted.filter(({ rule }) => rule.count === count).map(({ take }) => take)
  const [afterSuccess, afterFailure] = [of('failures'), of('successes')]
  return afterSuccess.length + afterFailure.length === 0 ? undefined : { afterSuccess, afterFailure }
}

function openTakes(open: readonly OpenRule[], session: string | undefined, address: string): Take[] {
  return open.flatMap(({ takeFor }) => takeFor(session, address) ?? [])
}

function applies(rule: Rule, endpoint: Endpoint, { method, scope, tool }: Asked): boolean {
  return (
    rule.endpoints?.has(endpoint) !== false &&
    rule.methods?.has(method) !== false &&
    rule.scopes?.has(scope) !== false &&
    (rule.tools === undefined || (tool !== undefined && rule.tools.has(tool)))
  )
}

/** What names the bucket, part by part; undefined where one of them is not there, and the rule does not apply. */
function partsOf(per: readonly Dimension[], value: (each: Dimension) => string | undefined): string[] | undefined {
  const parts: string[] = []
  for (const each of per) {
    const part = value(each)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return parts
}

function partOf(each: Dimension, principal: Principal, endpoint: Endpoint, asked: Asked): string | undefined {
  switch (each) {
    case 'tenant':
      return principal.tenant
    case 'principal':
      return identity(principal)
    case 'agent':
      return principal.kind === 'agent' ? identity(principal) : undefined
    case 'key':
      return principal.binding
    case 'scope':
      return asked.scope
    case 'endpoint':
      return endpoint
    case 'tool':
      return asked.tool
    case 'everyone':
      return ''
    case 'address':
    case 'session':
      return undefined
  }
}

function identity({ tenant, kind, id }: Principal): string {
  return `${tenant}\n${kind}\n${id}`
}

/** One of a few slots for a text, so that texts that strangers choose cannot make buckets without end. */
function slotOf(text: string): string {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (hash * 31 + text.charCodeAt(at)) >>> 0
  return String(hash % failureSlots)
}
