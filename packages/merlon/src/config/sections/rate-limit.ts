import * as z from 'zod'
import { ms } from '../values.ts'

export const rateLimit = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether calls are counted.'),
    windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
    callsMax: z.int().min(1).default(600).describe('Calls one principal may make in a window.'),
    failuresMax: z.int().min(1).default(10).describe('Failed authentications of one address in a minute.'),
  })
  .prefault({})
