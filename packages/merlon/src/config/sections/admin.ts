import { isIP } from 'node:net'
import * as z from 'zod'
import { host, portInRange } from '../values.ts'

export const admin = z
  .strictObject({
    listener: z
      .enum(['own', 'shared', 'off'])
      .default('own')
      .describe(
        'Where the control plane is served besides the socket in the data folder: on an address of its own, beside the MCP endpoint, or nowhere.',
      ),
    host: z
      .string()
      .refine((text) => text === 'localhost' || isIP(text) !== 0, 'localhost, or an address such as 127.0.0.1 or ::1')
      .default('127.0.0.1')
      .describe('The address of its own to listen on. Beyond loopback only with tls or trustedProxies.'),
    port: z
      .int()
      .min(0)
      .max(65_535)
      .optional()
      .describe(
        'The port of its own; 0 takes a free one. Default: the one after server.port, or a free one beside a free one.',
      ),
    publicUrl: z
      .string()
      .regex(
        /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
        'an address such as https://control.example, in lower case, without a path, a user or a slash at its end',
      )
      .refine(portInRange, 'a port from 1 to 65535')
      .optional()
      .describe('The address clients use for the listener of its own. Default: the listening address.'),
    allowedHosts: z
      .array(host)
      .optional()
      .describe(
        'Host headers that the listener of its own serves, exactly. Default: the listening and the public address; on loopback localhost, 127.0.0.1 and [::1] too.',
      ),
  })
  .prefault({})
