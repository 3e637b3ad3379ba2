import { type Rule, saidByLoader, setting } from '../rule.ts'

const day = 86_400_000

/** Other issuers, whose tokens are taken. */
export const issuerRules: readonly Rule[] = [
  {
    id: 'CA-331',
    title: 'An issuer is listed once, and http to it is asked for by name.',
    severity: 'fatal',
    why: 'Of two entries for one issuer the weaker would count; and keys that came in clear are keys of anybody.',
    fix: 'Keep one entry for each issuer, with its https address.',
    source: ['ASVS 5.0 V9.1.2', 'ASVS 5.0 V12.3.1'],
    check: saidByLoader('CA-331'),
  },
  {
    id: 'CA-332',
    title: 'What opens the MCP endpoint opens nothing at the control plane.',
    severity: 'fatal',
    why: 'A token that an agent carries would reach users and keys.',
    fix: 'Give controlAudience an audience of its own, or leave it out.',
    source: ['ASVS 5.0 V9.2.3', 'ASVS 5.0 V8.4.2'],
    check: saidByLoader('CA-332'),
  },
  {
    id: 'CA-333',
    title: 'An issuer grants roles that exist.',
    severity: 'fatal',
    why: 'A role that is misspelt grants nothing today, and something else once somebody defines it.',
    fix: 'Mend the name, or define it in roles.',
    source: ['ASVS 5.0 V8.2.1', 'OWASP MCP02'],
    check: saidByLoader('CA-333'),
  },
  {
    id: 'CA-334',
    title: 'Keys of an issuer come by https.',
    severity: 'high',
    why: 'Whoever changes the key set on its way writes tokens.',
    fix: 'Name the https address, and remove dangerouslyAllowHttp.',
    source: ['ASVS 5.0 V12.3.1', 'ASVS 5.0 V12.3.2'],
    check: (facts) =>
      facts.config.identity.issuers.flatMap(({ issuer, dangerouslyAllowHttp }, at) =>
        setting(facts, `identity.issuers.${at}`, dangerouslyAllowHttp, `keys of ${issuer} may come in clear`),
      ),
  },
  {
    id: 'CA-335',
    title: 'Tokens of an issuer are bound to their sender.',
    severity: 'info',
    why: 'A bearer token that leaked works for whoever found it; one that is bound to a key does not.',
    fix: 'Set dpop to required where the clients can prove possession.',
    source: ['RFC 9449', 'ASVS 5.0 V10.3.5'],
    check: (facts) =>
      facts.config.identity.issuers.flatMap(({ issuer, dpop }, at) =>
        setting(facts, `identity.issuers.${at}`, dpop !== 'required', `tokens of ${issuer} may be bearer tokens`),
      ),
  },
  {
    id: 'CA-336',
    title: 'Only access tokens are taken as such.',
    severity: 'medium',
    why: 'An ID token is signed by the same keys, and is shown to programs that should not call.',
    fix: 'Set types to at+jwt and untyped to false; where the issuer cannot, name in required what its access tokens alone have.',
    source: ['RFC 8725', 'ASVS 5.0 V9.2.3'],
    check: (facts) =>
      facts.config.identity.issuers.flatMap(({ issuer, types, untyped, required }, at) =>
        setting(
          facts,
          `identity.issuers.${at}`,
          (untyped || types.some((type) => !/(?:^|\/)at\+jwt$/i.test(type))) && Object.keys(required).length === 0,
          `other tokens of ${issuer} pass for access tokens`,
        ),
      ),
  },
  {
    id: 'CA-337',
    title: 'A token of an issuer lives a day at most.',
    severity: 'medium',
    why: 'Nobody here can withdraw it before it ends.',
    fix: 'Lower lifetimeMsMax; a day is the default.',
    source: ['ASVS 5.0 V9.2.1', 'OWASP MCP01'],
    check: (facts) =>
      facts.config.identity.issuers.flatMap(({ issuer, lifetimeMsMax }, at) =>
        setting(facts, `identity.issuers.${at}`, lifetimeMsMax > day, `tokens of ${issuer} may live beyond a day`),
      ),
  },
  {
    id: 'CA-338',
    title: 'An issuer does not make everybody an administrator.',
    severity: 'high',
    why: 'Whoever has an account there would manage the tenant, or the installation.',
    fix: 'Take the role from a claim, or bound it with scopesMax.',
    source: ['OWASP MCP02', 'ASVS 5.0 V8.2.1'],
    check: (facts) =>
      facts.config.identity.issuers.flatMap(({ issuer, role, scopesMax }, at) => {
        const everybody = 'value' in role ? role.value : undefined
        const admin = everybody !== undefined && facts.config.roles[everybody]?.includes('admin') === true
        const bounded = scopesMax !== undefined && !scopesMax.includes('admin')
        return setting(
          facts,
          `identity.issuers.${at}`,
          admin && !bounded,
          `every subject of ${issuer} has the role ${everybody}`,
        )
      }),
  },
]
