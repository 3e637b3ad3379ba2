import * as z from 'zod'

export const compression = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe(
        'Whether what anybody may read, such as the key set, is compressed (gzip) for a client that takes it. Answers to a credential and streams are not.',
      ),
    thresholdBytes: z.int().min(0).default(512).describe('What is smaller is sent as it is.'),
    level: z.int().min(1).max(9).default(6).describe('From 1, the fastest, to 9, the smallest.'),
    dangerouslyIncludeCredentialed: z
      .boolean()
      .default(false)
      .describe(
        'Compresses the JSON answers to MCP calls too, where compression is enabled: their size then tells of what is in them.',
      ),
  })
  .prefault({})
