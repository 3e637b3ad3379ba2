import type { Reply } from '../call.ts'

/** Remembers what was sent, as one line each: `event …`, `prime …`, `answer 200 …`, `finish …`, with `#id` where there is one. */
export class FakeReply implements Reply {
  readonly sent: string[] = []
  readonly ids: string[] = []
  readonly headers = new Map<string, string>()
  patient = false
  gone = false
  streaming = false
  private listener: (() => void) | undefined

  header(name: string, value: string): void {
    this.headers.set(name, value)
  }

  openStream(): void {
    if (!this.gone) this.streaming = true
  }

  event(message: string, id?: string): void {
    if (this.gone) return
    this.streaming = true
    this.note(`event ${message}`, id)
  }

  prime(id: string, retryMs: number): void {
    if (this.gone) return
    this.streaming = true
    this.note(`prime ${retryMs}`, id)
  }

  answer(message: string, status: number, id?: string): void {
    if (this.gone) return
    this.note(`answer ${status} ${message}`, id)
    this.leave()
  }

  document(text: string | AsyncIterable<string>, type: string, status: number): void {
    if (this.gone) return
    this.note(`document ${status} ${type} ${text}`, undefined)
    this.leave()
  }

  finish(status?: number): void {
    if (this.gone) return
    this.note(`finish ${status ?? ''}`.trimEnd(), undefined)
    this.leave()
  }

  bePatient(): void {
    this.patient = true
  }

  onGone(listener: () => void): void {
    if (this.gone) listener()
    else this.listener = listener
  }

  /** The client closes the connection, or the answer is complete. */
  leave(): void {
    if (this.gone) return
    this.gone = true
    this.listener?.()
  }

  /** The messages of events and of the answer, as they were sent. */
  get messagesAsSent(): readonly string[] {
    return this.sent.flatMap((line) => /^(?:event|answer [0-9]+) (.*)$/s.exec(line)?.[1] ?? [])
  }

  /** The messages of events and of the answer, decoded. */
  get messages(): readonly Record<string, unknown>[] {
    return this.messagesAsSent.map((message) => JSON.parse(message) as Record<string, unknown>)
  }

  private note(line: string, id: string | undefined): void {
    this.sent.push(line)
    if (id !== undefined) this.ids.push(id)
  }
}
