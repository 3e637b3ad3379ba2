import { accept, defineAuthenticator, reject } from 'merlon'

interface CompanyToken {
  readonly subject: string
  readonly scopes: readonly string[]
  readonly expiresAt: number
}

/**
 * Verifies a token of your own identity provider: signature, algorithm, issuer, audience and expiry, all of them.
 * Until it does, it knows no token, and API keys are the only way in.
 */
async function verifyCompanyToken(_token: string): Promise<CompanyToken | undefined> {
  return undefined
}

/** Asked about every credential that is not an API key of this server. */
export default defineAuthenticator({
  authenticate: async (credential) => {
    const token = await verifyCompanyToken(credential)
    if (token === undefined) return reject('not a company token')
    return accept({ subject: token.subject, scopes: token.scopes, role: 'user', expiresAt: token.expiresAt })
  },
})
