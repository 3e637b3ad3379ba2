import type { Socket } from 'node:net'
import { addressBucket } from '../guard/proxy-ranges.ts'

export interface ConnectionBounds {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
}

/** The connections that are open, of all listeners that share them: how many in all, and how many from where. */
export class Connections {
  /** Whether the server is about to stop: what is answered from then on is the last answer on its connection. */
  ending = false
  private readonly bounds: ConnectionBounds
  private readonly perAddress = new Map<string, number>()
  private open = 0

  constructor(bounds: ConnectionBounds) {
    this.bounds = bounds
  }

  /** Counts a connection until it closes. One that is too many is closed. */
  admit(socket: Socket): void {
    const bucket = addressBucket(socket.remoteAddress ?? '')
    const ofAddress = this.perAddress.get(bucket) ?? 0
    if (this.open >= this.bounds.connectionsMax || ofAddress >= this.bounds.connectionsPerAddressMax) {
      socket.destroy()
      return
    }
    this.open++
    this.perAddress.set(bucket, ofAddress + 1)
    socket.once('close', () => {
      this.open--
      const left = (this.perAddress.get(bucket) ?? 1) - 1
      if (left <= 0) this.perAddress.delete(bucket)
      else this.perAddress.set(bucket, left)
    })
  }
}
