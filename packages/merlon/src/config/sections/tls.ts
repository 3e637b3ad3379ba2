import { isIP } from 'node:net'
import * as z from 'zod'

export const tls = z
  .strictObject({
    certificatePath: z
      .string()
      .min(1)
      .optional()
      .describe('The certificate chain, PEM. With keyPath the server speaks TLS 1.2 and up.'),
    keyPath: z.string().min(1).optional().describe('The private key, PEM, readable for its owner alone.'),
    port: z
      .int()
      .min(0)
      .max(65_535)
      .optional()
      .describe(
        'A port of its own for TLS; 0 takes a free one. server.port then speaks plain HTTP, on loopback or behind a named proxy. Default: server.port speaks TLS and nothing else.',
      ),
    host: z
      .string()
      .refine((text) => text === 'localhost' || isIP(text) !== 0, 'localhost, or an address such as 127.0.0.1 or ::1')
      .optional()
      .describe('The address of that port. Default: server.host.'),
    clientCertificate: z
      .enum(['off', 'request', 'required'])
      .default('off')
      .describe(
        'Whether a client must show a certificate of the authority in clientCaPath before it may send anything: required, or request for one where it has one. It takes the place of no credential.',
      ),
    clientCaPath: z.string().min(1).optional().describe('The authority of client certificates, PEM, and no other.'),
    clientCrlPath: z
      .string()
      .min(1)
      .optional()
      .describe(
        'What that authority has revoked: a CRL for it and for each authority below it, PEM. One past its next update refuses every certificate.',
      ),
  })
  .prefault({})
