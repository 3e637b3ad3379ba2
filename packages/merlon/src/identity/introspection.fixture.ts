import { Fault } from '../errors.ts'
import { type FailureCounter, Introspection } from './introspection.ts'
import type { PostForm } from './jwks-fetch.ts'
import { claimsWith, issuerUrl, now, parse } from './token.fixture.ts'
import type { JsonObject } from './token-format.ts'

/** What an issuer says of a token that is good at the MCP endpoint. */
export function activeWith(more: JsonObject = {}): JsonObject {
  return { active: true, client_id: 'agent', token_type: 'Bearer', ...claimsWith(more) }
}

/** An issuer that is asked about tokens, and says of each what a test wants. */
export class Asked {
  /** By token: claims, text as it stands, or why there is no answer. Of others it says that they are not active. */
  readonly answers = new Map<string, JsonObject | string | Error>()
  readonly forms: { readonly url: string; readonly form: string; readonly authorization: string }[] = []
  readonly reported: unknown[] = []
  readonly time = { now }
  readonly failures = new Failures()
  /** Holds answers back while it is there. */
  gate: Promise<void> | undefined

  readonly post: PostForm = async (url, form, authorization) => {
    this.forms.push({ url, form: form.toString(), authorization })
    await this.gate
    const answer = this.answers.get(form.get('token') ?? '') ?? { active: false }
    if (answer instanceof Error) throw answer
    return { bytes: Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), maxAgeMs: undefined }
  }

  readonly introspection = new Introspection({
    url: `${issuerUrl}/introspect`,
    clientId: 'merlon',
    clientSecret: 'canary-of-the-client',
    post: this.post,
    parse,
    failures: this.failures,
    steadyClock: () => this.time.now,
    report: (cause) => this.reported.push(cause),
  })

  /** How often it was asked. */
  get count(): number {
    return this.forms.length
  }
}

/** Counts failures of each network, up to a number. */
export class Failures implements FailureCounter {
  readonly taken = new Map<string, number>()
  max = 1_000

  networkOf = (address: string) => `network of ${address}`

  take(network: string): void {
    const taken = this.taken.get(network) ?? 0
    if (taken >= this.max) throw new Fault('rate.exceeded', { retryAfterMs: 1_000 })
    this.taken.set(network, taken + 1)
  }

  giveBack(network: string): void {
    this.taken.set(network, this.taken.get(network)! - 1)
  }

  get all(): number {
    return [...this.taken.values()].reduce((sum, each) => sum + each, 0)
  }
}
