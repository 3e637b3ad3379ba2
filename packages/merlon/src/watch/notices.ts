import { createHmac, type KeyObject } from 'node:crypto'
import type { Clock, RandomBytes } from '../call.ts'
import type { Alert, Transition } from './alerts.ts'

/** Sends a body; answers the status, rejects where there was none in time. */
export type Post = (body: string, headers: Readonly<Record<string, string>>) => Promise<number>

export interface NoticesOptions {
  readonly post: Post
  /** Signs each notice; nothing is signed without it. */
  readonly key: KeyObject | undefined
  /** What the server calls itself. */
  readonly server: string
  readonly clock: Clock
  readonly steadyClock: Clock
  readonly random: RandomBytes
  /** Told when a notice is given up, with a status or the code of an error: never with the address. */
  readonly onGivenUp: (what: string) => void
}

const waitingMax = 100
/** How long to wait after each try; after the last it is given up. */
const waitsMs = [1_000, 5_000, 30_000, 120_000, 600_000]

interface Notice {
  readonly id: string
  readonly body: string
  tries: number
  notBefore: number
}

/**
 * Brings alerts to a webhook, one after the other in their order, each until it is taken or has been tried six times over
 * a quarter of an hour. What waits is bounded: beyond a hundred the oldest is dropped. A notice says what an alert says,
 * which is words of ours and numbers.
 *
 * It is signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` the HMAC-SHA256
 * of both and the body. A receiver that checks all three takes no notice twice and none that is old.
 */
export class Notices {
  delivered = 0
  givenUp = 0
  dropped = 0
  /** Given up or dropped since one was last delivered. */
  failing = 0
  private readonly options: NoticesOptions
  private readonly waiting: Notice[] = []
  private sending = false

  constructor(options: NoticesOptions) {
    this.options = options
  }

  get size(): number {
    return this.waiting.length
  }

  offer(alert: Alert, transition: Transition): void {
    const { clock, random, server } = this.options
    const timestamp = new Date(clock()).toISOString()
    this.waiting.push({
      id: `msg_${random(12).toString('hex')}`,
      body: JSON.stringify({ type: `alert.${transition}`, timestamp, data: { server, alert } }),
      tries: 0,
      notBefore: Number.NEGATIVE_INFINITY,
    })
    if (this.waiting.length <= waitingMax) return
    // The one at the head may be on its way.
    this.waiting.splice(this.sending ? 1 : 0, 1)
    this.dropped++
    this.failing++
  }

  /** Sends what is due. Never rejects. */
  async tick(): Promise<void> {
    if (this.sending) return
    this.sending = true
    try {
      for (let next = this.due(); next !== undefined; next = this.due()) await this.send(next)
    } finally {
      this.sending = false
    }
  }

  private due(): Notice | undefined {
    const [first] = this.waiting
    return first !== undefined && first.notBefore <= this.options.steadyClock() ? first : undefined
  }

  private async send(notice: Notice): Promise<void> {
    const { post, steadyClock, onGivenUp } = this.options
    let what: string
    try {
      const status = await post(notice.body, this.headers(notice))
      if (status >= 200 && status < 300) {
        this.waiting.shift()
        this.delivered++
        this.failing = 0
        return
      }
      what = `status ${status}`
    } catch (error) {
      what = errorWord(error)
    }
    const waitMs = waitsMs[notice.tries++]
    if (waitMs !== undefined) {
      notice.notBefore = steadyClock() + waitMs
      return
    }
    this.waiting.shift()
    this.givenUp++
    this.failing++
    onGivenUp(what)
  }

  private headers({ id, body }: Notice): Readonly<Record<string, string>> {
    const { key, clock } = this.options
    const timestamp = String(Math.floor(clock() / 1_000))
    const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': timestamp }
    if (key === undefined) return headers
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    return { ...headers, 'webhook-signature': `v1,${signature}` }
  }
}

/** The code of an error, as ECONNREFUSED. Its message may hold the address, which may hold a secret. */
function errorWord(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown }
  if (typeof code === 'string' && /^[A-Z_0-9]{1,40}$/.test(code)) return code
  return name === 'TimeoutError' || name === 'AbortError' ? 'timeout' : 'error'
}
