import { type Rule, when } from './rule.ts'

/** The rules about whose tokens are taken. */
export const issuerRules: readonly Rule[] = [
  {
    promise: 'An issuer is listed once, and http to it is asked for by name.',
    id: 'CA-331',
    severity: 'error',
    check: ({ identity }) =>
      identity.issuers.flatMap((entry, at) => [
        ...when(identity.issuers.findIndex(({ issuer }) => issuer === entry.issuer) !== at, {
          paths: ['identity.issuers'],
          says: `lists ${entry.issuer} twice`,
          fix: 'Keep one of them',
        }),
        ...when(
          !entry.dangerouslyAllowHttp && [entry.issuer, entry.jwksUri ?? ''].some((url) => url.startsWith('http:')),
          {
            paths: ['identity.issuers'],
            says: `would read the keys of ${entry.issuer} without TLS`,
            fix: 'Use https; to try things out on a loopback address set dangerouslyAllowHttp',
          },
        ),
        ...when(!entry.dangerouslyAllowHttp && entry.introspection?.url.startsWith('http:') === true, {
          paths: ['identity.issuers'],
          says: `would show tokens of ${entry.issuer} without TLS`,
          fix: 'Use https; to try things out on a loopback address set dangerouslyAllowHttp',
        }),
      ]),
  },
  {
    promise: 'What opens the MCP endpoint opens nothing at the control plane.',
    id: 'CA-332',
    severity: 'error',
    check: ({ identity }) =>
      identity.issuers.flatMap(({ issuer, audience, controlAudience }) =>
        when(controlAudience !== undefined && controlAudience === audience, {
          paths: ['identity.issuers'],
          says: `gives ${issuer} one audience for both doors`,
          fix: 'Give the control plane an audience of its own',
        }),
      ),
  },
  {
    promise: 'An issuer grants roles that exist.',
    id: 'CA-333',
    severity: 'error',
    check: ({ identity, roles }) =>
      identity.issuers.flatMap(({ issuer, role }) =>
        ('value' in role ? [role.value] : Object.values(role.values)).flatMap((name) =>
          when(!Object.hasOwn(roles, name), {
            paths: ['identity.issuers', 'roles'],
            says: `gives subjects of ${issuer} the role ${name}, which does not exist`,
            fix: 'Define it in roles, or name another',
          }),
        ),
      ),
  },
]
