import * as z from 'zod'
import { ms } from '../values.ts'

export const webSocket = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe('Whether the endpoint opens sockets too: WebSocket, with the subprotocol mcp.'),
    callsMax: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .default(1_000)
      .describe('Messages one credential may send over its sockets in a window, whatever is in them.'),
    windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
    perPrincipalMax: z.int().min(1).max(10_000).default(20).describe('Open sockets of one principal.'),
    totalMax: z.int().min(1).max(1_000_000).default(1_000).describe('Open sockets in all.'),
    idleMs: ms(1_000)
      .default(1_800_000)
      .describe('A socket over which nothing is asked, and nothing is answered, for so long closes.'),
  })
  .prefault({})
