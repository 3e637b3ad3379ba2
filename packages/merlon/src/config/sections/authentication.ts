import * as z from 'zod'
import { ms } from '../values.ts'

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
    passwords: z
      .strictObject({
        memoryKib: z
          .int()
          .min(19_456)
          .max(1_048_576)
          .default(19_456)
          .describe(
            'Memory that one password digest (argon2id) takes. Older digests are renewed when their user signs in.',
          ),
        passes: z.int().min(2).max(64).default(2).describe('How often that memory is passed over.'),
      })
      .prefault({}),
    login: z
      .strictObject({
        attemptsMax: z
          .int()
          .min(1)
          .max(1_000_000)
          .default(10)
          .describe('Failed sign-ins in a window: of one account from strange addresses, and of one address.'),
        windowMs: ms(1_000).default(900_000).describe('Length of that window.'),
        signInLifetimeMs: ms(60_000)
          .default(43_200_000)
          .describe('Longest life of a sign-in, however often its tokens are renewed.'),
      })
      .prefault({}),
  })
  .prefault({})
