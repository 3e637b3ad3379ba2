import * as z from 'zod'

export const log = z
  .strictObject({
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('Least severe line of the program log.'),
  })
  .prefault({})
