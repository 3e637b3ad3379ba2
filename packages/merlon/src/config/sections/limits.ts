import * as z from 'zod'
import { ms } from '../values.ts'

export const limits = z
  .strictObject({
    messageBytesMax: z.int().min(1_024).max(67_108_864).default(1_048_576).describe('Largest request body.'),
    jsonDepthMax: z.int().min(4).max(256).default(64).describe('Deepest nesting in a message.'),
    jsonNodesMax: z.int().min(100).max(1_000_000).default(100_000).describe('Most values in a message.'),
    callTimeoutMs: ms(100).default(60_000).describe('Longest time for one call, questions to the client included.'),
    connectionsMax: z.int().min(1).default(10_000).describe('Open connections in all.'),
    connectionsPerAddressMax: z
      .int()
      .min(1)
      .default(1_000)
      .describe('Open connections from one address (IPv6: one /64).'),
    callsPerPrincipalMax: z.int().min(1).default(100).describe('Calls of one principal that may be under way at once.'),
    callsPerTenantMax: z.int().min(1).default(1_000).describe('Calls of one tenant that may be under way at once.'),
    callsPerToolMax: z
      .int()
      .min(1)
      .default(1_000)
      .describe('Calls of one tool that may be under way at once, where the tool names no number of its own.'),
    callsPerConnectionMax: z.int().min(1).default(16).describe('Requests of one connection answered at once.'),
    streamsPerPrincipalMax: z
      .int()
      .min(1)
      .default(100)
      .describe('Open subscription and session streams of one principal.'),
    streamBufferBytesMax: z
      .int()
      .min(65_536)
      .default(1_048_576)
      .describe('Bytes waiting for a slow reader before its stream is closed.'),
    streamStallMs: ms(1_000).default(30_000).describe('A reader that takes nothing for so long is closed.'),
    heartbeatMs: ms(100)
      .max(30_000)
      .default(15_000)
      .describe('How often an open stream carries a comment, so that nobody between takes it for dead.'),
    eventLoopDelayMsMax: ms(50)
      .default(2_000)
      .describe('Above this delay of the event loop new requests are refused with 503.'),
    pageSize: z.int().min(1).max(1_000).default(200).describe('Entries in one page of a list.'),
  })
  .prefault({})
