import * as z from 'zod'
import { secretReference } from '../values.ts'

export const alerts = z
  .strictObject({
    authFailuresPerMinute: z
      .int()
      .min(1)
      .default(10)
      .describe('An alert fires when so many requests fail to authenticate within a minute.'),
    rateLimitPerMinute: z
      .int()
      .min(1)
      .default(50)
      .describe('An alert fires when so many requests are over a limit within a minute.'),
    invalidKeysPerHour: z
      .int()
      .min(1)
      .default(100)
      .describe('An alert fires when so many bad credentials are shown within an hour.'),
    sessionViolationsPerMinute: z
      .int()
      .min(1)
      .default(20)
      .describe('An alert fires when so many requests name a session that is not there or not theirs within a minute.'),
    webhook: z
      .strictObject({
        url: secretReference
          .optional()
          .describe(
            'Where alerts are posted: env:ALERT_WEBHOOK_URL. A reference, since such an address often is a secret; https, or on loopback.',
          ),
        secret: secretReference
          .optional()
          .describe('32 bytes, base64 or hex, that sign each notice (HMAC-SHA256, as Standard Webhooks has it).'),
      })
      .prefault({}),
  })
  .prefault({})
