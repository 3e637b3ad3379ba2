import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Awaitable } from '../call.ts'
import { Fault, faultOf } from '../errors.ts'
import type { Arrival } from '../guard/gate.ts'
import { chargeRefused } from '../guard/limit-calls.ts'
import { HttpCall } from './http-call.ts'
import type { HttpOptions } from './http-server.ts'
import { refuse } from './refuse.ts'

/** What opens a socket. */
export interface Upgrades {
  /** The one path where sockets are opened. */
  readonly path: string
  /** The guards of every other path, before it is looked for. */
  readonly edge: (call: Arrival) => unknown
  /** Runs the guards and answers with 101. Throws or rejects with what it was refused with, and has answered nothing then. */
  open(call: HttpCall, request: IncomingMessage, socket: Socket, head: Buffer): Awaitable<void>
}

/** Longer than the guards take. */
const openMs = 10_000

/**
 * Takes what asks for an upgrade: opens a socket, or answers with the status of the refusal and closes. `isFree`: whether
 * nothing else is being answered on the connection.
 */
export function onUpgrade(
  options: HttpOptions,
  upgrades: Upgrades,
  isFree: (socket: Socket) => boolean,
): (request: IncomingMessage, socket: Socket, head: Buffer) => void {
  return (request, socket, head) => {
    // From here on node:http looks after neither its errors nor its time.
    socket.on('error', () => socket.destroy())
    if (!isFree(socket)) {
      socket.destroy()
      return
    }
    const late = () => socket.destroy()
    socket.setTimeout(openMs, late)
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    const call = new HttpCall(request, response, options.gate, { taken: 1 })
    const answer = (fault: Fault) => {
      options.onRefused(call, fault)
      if (socket.destroyed) return
      response.assignSocket(socket)
      response.once('finish', () => socket.destroySoon())
      refuse(response, call, fault, options)
    }
    const fail = (thrown: unknown) => {
      const fault = chargeRefused(call, faultOf(thrown))
      if (fault instanceof Promise) void fault.then(answer)
      else answer(fault)
    }
    const done = () => {
      socket.off('timeout', late)
      options.onAnswered?.(call, 101, 0)
    }
    try {
      if (call.path !== upgrades.path) {
        upgrades.edge(call)
        throw new Fault('route.unknown')
      }
      const opened = upgrades.open(call, request, socket, head)
      if (opened instanceof Promise) opened.then(done, fail)
      else done()
    } catch (thrown) {
      fail(thrown)
    }
  }
}
