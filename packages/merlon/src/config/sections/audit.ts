import * as z from 'zod'
import { ms } from '../values.ts'

export const audit = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .optional()
      .describe('Where records are appended as JSON lines. Default: audit.jsonl in the data folder.'),
    flushMs: ms(1)
      .max(1_000)
      .default(50)
      .describe('How long a record of a call may wait in memory. Records of changes never wait.'),
  })
  .prefault({})
