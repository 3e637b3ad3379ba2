import * as z from 'zod'
import { isLoopback, ms } from '../values.ts'

export const audit = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where records are appended as JSON lines; closed files and heads stand beside it. Default: audit.jsonl in the data folder.',
      ),
    flushMs: ms(1)
      .max(1_000)
      .default(50)
      .describe('How long a record of a call may wait in memory. Records of changes never wait.'),
    headMs: ms(100)
      .default(10_000)
      .describe('How long a record may stand in the log before a signed head covers it, while the server runs.'),
    segmentBytes: z
      .int()
      .min(65_536)
      .max(1_073_741_824)
      .default(33_554_432)
      .describe('A file of the log is closed, and the next begun, when it is larger. A start reads the newest file.'),
    segmentMs: ms(1_000).default(86_400_000).describe('The same when it is older.'),
    keepDays: z
      .int()
      .min(1)
      .max(36_500)
      .optional()
      .describe('A closed file whose last record is older is removed, and a record says so. Default: never.'),
    keepBytes: z
      .int()
      .min(1_048_576)
      .optional()
      .describe('The oldest closed files are removed while all together are larger. Default: never.'),
    onTamper: z
      .enum(['continue', 'refuse'])
      .default('continue')
      .describe(
        'What to do with a log that was changed by others: leave it as found and begin a new one that names it, or do not start.',
      ),
    argumentDigest: z
      .boolean()
      .default(false)
      .describe(
        'Records of calls to tools tell the size and a keyed digest of the arguments: equal arguments can be recognised, and none can be read.',
      ),
    stdout: z.boolean().default(false).describe('Writes each line to the standard output too, for a collector.'),
    heads: z
      .strictObject({
        file: z
          .string()
          .min(1)
          .optional()
          .describe('A file elsewhere, such as on another machine, to which each signed head is appended too.'),
        webhook: z
          .url()
          .refine(isSafeUrl, 'an https address; http on loopback alone; no user or password in it')
          .optional()
          .describe('An address to which each signed head is sent (POST, JSON).'),
      })
      .prefault({}),
  })
  .prefault({})

function isSafeUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, '')))
}
