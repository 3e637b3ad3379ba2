import type { Reply } from '../call.ts'

/** What carries whole messages both ways for one client, beside each other: a pipe, or a socket. */
export interface Channel {
  /** Whether nothing can be sent any more. */
  readonly closed: boolean
  /** Writes a message that is waited for. */
  send(message: string): void
  /** Writes a message that nobody waits for. Where too many of these are not taken, nobody is reading, and it closes. */
  notify(message: string): void
  /** Calls back once when it has closed, at once where it has. Answers how to stop that. */
  onClosed(listener: () => void): () => void
}

/** The way back for one message: messages on the channel, of which the last may be the answer. */
export class ChannelReply implements Reply {
  private readonly channel: Channel
  private readonly onHeader: (name: string, value: string) => void
  private readonly onOver: () => void
  private listener: (() => void) | undefined
  private over = false
  streaming = false

  /** `onHeader` is told what over HTTP is said beside the message; `onOver`, once, that no more is sent. */
  constructor(channel: Channel, onHeader: (name: string, value: string) => void, onOver: () => void) {
    this.channel = channel
    this.onHeader = onHeader
    this.onOver = onOver
  }

  get gone(): boolean {
    return this.over || this.channel.closed
  }

  header(name: string, value: string): void {
    this.onHeader(name, value)
  }

  openStream(): void {
    this.streaming = true
  }

  event(message: string): void {
    if (!this.gone) this.channel.notify(message)
  }

  prime(): void {
    // A channel that breaks is not gone on with.
  }

  answer(message: string): void {
    if (this.gone) return
    this.channel.send(message)
    this.leave()
  }

  document(): void {
    throw new Error('a channel carries messages alone')
  }

  finish(): void {
    this.leave()
  }

  bePatient(): void {
    // A call that takes its time keeps its channel open.
  }

  onGone(listener: () => void): void {
    if (this.gone) listener()
    else this.listener = listener
  }

  /** Ends it without a word: the client has cancelled, or has left. */
  leave(): void {
    if (this.over) return
    this.over = true
    this.onOver()
    const { listener } = this
    this.listener = undefined
    listener?.()
  }
}
