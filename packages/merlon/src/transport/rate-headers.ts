/** The limit that an answer tells of. */
export interface ToldLimit {
  readonly name: string
  readonly callsMax: number
  readonly windowMs: number
}

/** `standard`: draft-ietf-httpapi-ratelimit-headers; `legacy`: its three fields of before; `x`: what came before those. */
export type RateHeaderForm = 'standard' | 'legacy' | 'x'

/** Adds what is left of a limit, and in how many seconds there is more, where that is known. */
export type RateHeaders = (
  head: string[],
  limit: ToldLimit,
  remaining: number,
  refillSeconds: number | undefined,
) => void

const names: Readonly<Record<RateHeaderForm, readonly string[]>> = {
  standard: ['RateLimit', 'RateLimit-Policy'],
  legacy: ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
  x: ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
}

/** The names that these forms use. */
export function rateHeaderNames(forms: readonly RateHeaderForm[]): readonly string[] {
  return forms.flatMap((form) => names[form])
}

export function rateHeaders(forms: readonly RateHeaderForm[]): RateHeaders {
  const [standard, legacy, x] = (['standard', 'legacy', 'x'] as const).map((form) => forms.includes(form))
  return (head, limit, remaining, refillSeconds) => {
    if (standard) {
      const { policy, item } = textsOf(limit)
      head.push(
        'RateLimit-Policy',
        policy,
        'RateLimit',
        refillSeconds === undefined ? `${item}${remaining}` : `${item}${remaining};t=${refillSeconds}`,
      )
    }
    if (legacy) addThree(head, names.legacy, limit, remaining, refillSeconds)
    if (x) addThree(head, names.x, limit, remaining, refillSeconds)
  }
}

function addThree(
  head: string[],
  three: readonly string[],
  limit: ToldLimit,
  remaining: number,
  seconds: number | undefined,
): void {
  const [most = '', left = '', reset = ''] = three
  head.push(most, String(limit.callsMax), left, String(remaining))
  if (seconds !== undefined) head.push(reset, String(seconds))
}

interface Texts {
  readonly policy: string
  readonly item: string
}

const texts = new WeakMap<ToldLimit, Texts>()

/** What is the same for every answer that tells of this limit. */
function textsOf(limit: ToldLimit): Texts {
  let known = texts.get(limit)
  if (known === undefined) {
    const { name, callsMax, windowMs } = limit
    known = { policy: `"${name}";q=${callsMax};w=${Math.ceil(windowMs / 1_000)}`, item: `"${name}";r=` }
    texts.set(limit, known)
  }
  return known
}
