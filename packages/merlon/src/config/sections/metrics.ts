import * as z from 'zod'

export const metrics = z
  .strictObject({
    tools: z.boolean().default(true).describe('Whether calls are counted for each tool, by its name.'),
    tenants: z
      .boolean()
      .default(false)
      .describe('Whether calls are counted for each tenant: whoever reads the metrics then sees the ids of tenants.'),
  })
  .prefault({})
