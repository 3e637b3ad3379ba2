import * as z from 'zod'

export const authentication = z
  .strictObject({
    module: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A file whose default export, made with defineAuthenticator, checks credentials that are not API keys.',
      ),
    keyLifetimeDays: z.int().min(1).max(3650).default(90).describe('Lifetime of a new API key that names none.'),
    keyLifetimeDaysMax: z.int().min(1).max(3650).default(365).describe('Longest lifetime of a new API key.'),
  })
  .prefault({})
