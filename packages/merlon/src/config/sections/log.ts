import * as z from 'zod'

export const log = z
  .strictObject({
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('Least severe line of the program log.'),
    requests: z
      .enum(['none', 'failures', 'all'])
      .default('failures')
      .describe(
        'Which HTTP requests get a line in the program log: none, those that were refused or failed, or all. The audit log has every call whatever this says.',
      ),
  })
  .prefault({})
