import { adminScope } from '../../policy/scopes.ts'
import type { Facts, KeyFacts } from '../facts.ts'
import { type Found, type Rule, saidByLoader, setting } from '../rule.ts'

const day = 86_400_000

const ofKeys = (
  { keys = [] }: Facts,
  bad: (key: KeyFacts) => boolean,
  says: (key: KeyFacts) => string,
): readonly Found[] =>
  keys.filter(bad).map((key) => ({ where: key.id, says: `${key.name} of ${key.tenant}: ${says(key)}` }))

const days = (ms: number): string => `${Math.floor(ms / day)} days`

/** Keys, roles and what they reach. */
export const identityRules: readonly Rule[] = [
  {
    id: 'CA-301',
    title: 'A key that names no lifetime lives half a year at most.',
    severity: 'medium',
    why: 'Most keys are made with the default, and a key that leaked is good until it ends.',
    fix: 'Lower authentication.keyLifetimeDays; 90 is the default.',
    source: ['ASVS 5.0 V13.3.4', 'OWASP MCP01'],
    check: (facts) => {
      const { keyLifetimeDays } = facts.config.authentication
      return setting(
        facts,
        'authentication.keyLifetimeDays',
        keyLifetimeDays > 180,
        `a key lives ${keyLifetimeDays} days unless it says otherwise`,
      )
    },
  },
  {
    id: 'CA-302',
    title: 'No key may live longer than a year.',
    severity: 'medium',
    why: 'A key that is never made anew outlives those who know where it was copied.',
    fix: 'Lower authentication.keyLifetimeDaysMax; 365 is the default.',
    source: ['ASVS 5.0 V13.3.4', 'OWASP MCP01'],
    check: (facts) => {
      const { keyLifetimeDaysMax } = facts.config.authentication
      return setting(
        facts,
        'authentication.keyLifetimeDaysMax',
        keyLifetimeDaysMax > 365,
        `a key may live ${keyLifetimeDaysMax} days`,
      )
    },
  },
  {
    id: 'CA-303',
    title: 'A key that names no lifetime lives no longer than any key may.',
    severity: 'fatal',
    why: 'Two settings that contradict have one meaning for us and another for their author.',
    fix: 'Lower authentication.keyLifetimeDays, or raise authentication.keyLifetimeDaysMax.',
    source: ['ASVS 5.0 V13'],
    check: saidByLoader('CA-303'),
  },
  {
    id: 'CA-304',
    title: 'A role names scopes that exist.',
    severity: 'fatal',
    why: 'A scope that is misspelt grants nothing today, and something else once somebody declares it.',
    fix: 'Mend the name, or declare it in scopes.',
    source: ['ASVS 5.0 V8.2.1', 'OWASP MCP02'],
    check: saidByLoader('CA-304'),
  },
  {
    id: 'CA-305',
    title: 'The role of the first key exists.',
    severity: 'fatal',
    why: 'Without the role operator nobody could make the next key.',
    fix: 'Add operator to roles; an empty list of scopes denies it everything.',
    source: ['ASVS 5.0 V8.2.1'],
    check: saidByLoader('CA-305'),
  },
  {
    id: 'CA-306',
    title: 'The role of everybody has no admin.',
    severity: 'high',
    why: '`user` is the role of whoever is given none, and admin stands for every scope.',
    fix: 'Take admin out of roles.user.',
    source: ['OWASP MCP02', 'ASVS 5.0 V8.2.1'],
    check: (facts) =>
      setting(facts, 'roles.user', facts.config.roles['user']?.includes(adminScope) === true, 'holds admin'),
  },
  {
    id: 'CA-307',
    title: 'Only the roles admin and operator hold admin.',
    severity: 'medium',
    why: 'A role with another name is handed out without the thought that admin gets.',
    fix: 'Give the role the scopes that it needs by name.',
    source: ['OWASP MCP02', 'MCP best practices'],
    check: (facts) =>
      Object.entries(facts.config.roles).flatMap(([role, scopes]) =>
        setting(
          facts,
          `roles.${role}`,
          !['user', 'admin', 'operator'].includes(role) && scopes.includes(adminScope),
          'holds admin, which stands for every scope',
        ),
      ),
  },
  {
    id: 'CA-308',
    title: 'Every declared scope is held by a role.',
    severity: 'low',
    why: 'A scope that no role holds keeps everybody out, and is often a role that was forgotten.',
    fix: 'Give the scope to a role, or take it out of scopes.',
    source: ['ASVS 5.0 V8.2.1'],
    check: (facts) => {
      const held = new Set(Object.values(facts.config.roles).flat())
      return facts.config.scopes.flatMap((scope, at) =>
        setting(facts, `scopes.${at}`, !held.has(scope), `no role holds ${scope} by name`),
      )
    },
  },
  {
    id: 'CA-309',
    title: 'A role without scopes is meant.',
    severity: 'info',
    why: 'An empty role denies everything; that is right for some, and a surprise for others.',
    fix: 'Leave it where it is meant; otherwise give it scopes.',
    source: ['CVE-2026-33032'],
    check: (facts) =>
      Object.entries(facts.config.roles).flatMap(([role, scopes]) =>
        setting(facts, `roles.${role}`, scopes.length === 0, 'holds no scope, so it denies everything'),
      ),
  },
  {
    id: 'CA-310',
    title: 'Keys are made anew within a year.',
    severity: 'high',
    why: 'The older a key, the more copies of it lie about.',
    fix: 'Make a new key for its user, and revoke this one.',
    source: ['ASVS 5.0 V13.3.4', 'OWASP MCP01'],
    check: (facts) =>
      ofKeys(
        facts,
        ({ createdAt }) => facts.now - createdAt > 365 * day,
        ({ createdAt }) => `was made ${days(facts.now - createdAt)} ago`,
      ),
  },
  {
    id: 'CA-311',
    title: 'Keys that nobody uses are revoked.',
    severity: 'medium',
    why: 'Nobody would notice that it was stolen.',
    fix: 'Ask its owner, then run `merlon key revoke` with its id.',
    source: ['ASVS 5.0 V13.3.4', 'OWASP MCP01'],
    check: (facts) =>
      ofKeys(
        facts,
        ({ lastUsedAt, createdAt }) => facts.now - (lastUsedAt ?? createdAt) > 90 * day,
        ({ lastUsedAt }) =>
          lastUsedAt === undefined ? 'was never used' : `was last used ${days(facts.now - lastUsedAt)} ago`,
      ),
  },
  {
    id: 'CA-312',
    title: 'A key with admin lives 90 days at most.',
    severity: 'medium',
    why: 'It reaches everything of its tenant, so it should be good for the shortest time.',
    fix: 'Make one with --lifetime 90d or less, and revoke this one.',
    source: ['OWASP MCP02', 'ASVS 5.0 V13.3.4'],
    check: (facts) =>
      ofKeys(
        facts,
        ({ scopes, createdAt, expiresAt }) => scopes.includes(adminScope) && expiresAt - createdAt > 91 * day,
        ({ createdAt, expiresAt }) => `holds admin for ${days(expiresAt - createdAt)}`,
      ),
  },
  {
    id: 'CA-313',
    title: 'The key of the first start is gone.',
    severity: 'medium',
    why: 'It was shown on a screen and reaches everything; it is there to make the next key.',
    fix: 'Make keys for those who need one, then run `merlon key revoke` with its id. It ends by itself within an hour.',
    source: ['ASVS 5.0 V6.4.1', 'ASVS 5.0 V6.3.2'],
    check: (facts) =>
      ofKeys(
        facts,
        ({ name }) => name === 'first-start',
        () => 'is still good',
      ),
  },
  {
    id: 'CA-314',
    title: 'Few keys hold admin.',
    severity: 'medium',
    why: 'Each of them is the whole tenant for whoever finds it.',
    fix: 'Make keys with the scopes that their programs need, and revoke those with admin.',
    source: ['OWASP MCP02', 'MCP best practices'],
    check: ({ keys = [] }) => {
      const byTenant = Map.groupBy(
        keys.filter(({ scopes }) => scopes.includes(adminScope)),
        ({ tenant }) => tenant,
      )
      return [...byTenant].flatMap(([tenant, those]) =>
        those.length > 5 ? [{ where: `tenant ${tenant}`, says: `${those.length} keys hold admin` }] : [],
      )
    },
  },
  {
    id: 'CA-315',
    title: 'No key ends unnoticed within a week.',
    severity: 'low',
    why: 'When it ends its program stops, and the key that is made in haste is often too wide.',
    fix: 'Run `merlon key rotate` or make its successor in time.',
    source: ['ASVS 5.0 V13.3.4'],
    check: (facts) =>
      ofKeys(
        facts,
        // A key that was made for a few days is meant to end.
        ({ createdAt, expiresAt }) => expiresAt - facts.now < 7 * day && expiresAt - createdAt > 14 * day,
        ({ expiresAt }) => `ends on ${new Date(expiresAt).toISOString().slice(0, 10)}`,
      ),
  },
  {
    id: 'CA-316',
    title: 'Few users are operators.',
    severity: 'medium',
    why: 'An operator reaches every tenant; each is a way to everything.',
    fix: 'Give those who manage one tenant the role admin there.',
    source: ['OWASP MCP02', 'ASVS 5.0 V8.4.2'],
    check: ({ operators = 0 }) =>
      operators > 3 ? [{ where: 'the store', says: `${operators} users are operators` }] : [],
  },
  {
    id: 'CA-317',
    title: 'Guessing at passwords is slow.',
    severity: 'high',
    why: 'Passwords are tried from lists; a few tries in a quarter of an hour are enough for those who forgot theirs.',
    fix: 'Lower authentication.login.attemptsMax, or make authentication.login.windowMs longer; 10 in 15 minutes is the default.',
    source: ['ASVS 5.0 V6.3.1'],
    check: (facts) => {
      const { attemptsMax, windowMs } = facts.config.authentication.login
      const bad = (attemptsMax * 900_000) / windowMs > 100
      return setting(facts, 'authentication.login.attemptsMax', bad, 'lets more than 100 tries pass in 15 minutes')
    },
  },
  {
    id: 'CA-318',
    title: 'A sign-in ends within a day.',
    severity: 'medium',
    why: 'Whoever finds an open browser has the control plane for as long.',
    fix: 'Lower authentication.login.signInLifetimeMs; 12 hours is the default.',
    source: ['ASVS 5.0 V7.3.2'],
    check: (facts) => {
      const { signInLifetimeMs } = facts.config.authentication.login
      return setting(facts, 'authentication.login.signInLifetimeMs', signInLifetimeMs > day, 'is longer than a day')
    },
  },
  {
    id: 'CA-319',
    title: 'Keys that sign tokens take turns within three months.',
    severity: 'medium',
    why: 'A key that leaked signs for as long as it is taken.',
    fix: 'Lower identity.tokens.signingKeyDays; 30 is the default.',
    source: ['ASVS 5.0 V13.3.4', 'ASVS 5.0 V11.1.1'],
    check: (facts) => {
      const { signingKeyDays } = facts.config.identity.tokens
      return setting(facts, 'identity.tokens.signingKeyDays', signingKeyDays > 90, `is ${signingKeyDays} days`)
    },
  },
]
