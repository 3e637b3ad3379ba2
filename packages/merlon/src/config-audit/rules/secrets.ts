import { type Rule, saidByLoader } from '../rule.ts'

/** The settings as a whole, and the secrets they refer to. */
export const secretRules: readonly Rule[] = [
  {
    id: 'CA-001',
    title: 'The settings are accepted.',
    severity: 'fatal',
    why: 'A setting that is not understood has no effect, and its author believes that it has.',
    fix: 'Mend what is named; `merlon config check` says it all at once.',
    source: ['ASVS 5.0 V13', 'ASVS 5.0 V16.5.3'],
    check: ({ said }) =>
      said.flatMap(({ rule, where, path, says, fix }) =>
        rule === undefined
          ? [{ where, says, ...(path === '' ? {} : { path }), ...(fix === undefined ? {} : { fix }) }]
          : [],
      ),
  },
  {
    id: 'CA-002',
    title: 'The configuration file holds no secret.',
    severity: 'fatal',
    why: 'A configuration file is shown to people, copied and committed; a secret in it is one no longer.',
    fix: 'Withdraw the secret, put a new one in .env (mode 600) or a file of its own, and refer to it as env:NAME or file:/path.',
    source: ['ASVS 5.0 V13.3.1', 'OWASP MCP01'],
    check: saidByLoader('CA-002'),
  },
  {
    id: 'CA-003',
    title: 'A secret is a random key or a whole address, and no placeholder.',
    severity: 'fatal',
    why: 'A key that was thought up, or printed in a tutorial, is tried first by whoever wants in.',
    fix: 'Run `merlon generate-keys --secrets` for good ones.',
    source: ['ASVS 5.0 V11.2.3', 'ASVS 5.0 V13.2.3', 'OWASP MCP01'],
    check: saidByLoader('CA-003'),
  },
  {
    id: 'CA-004',
    title: 'Every reference leads to a secret.',
    severity: 'fatal',
    why: 'A server that went on without the secret it was told to use would use another.',
    fix: 'Set the variable or write the file that is named, or leave the setting out.',
    source: ['ASVS 5.0 V13.3.1', 'ASVS 5.0 V16.5.3'],
    check: saidByLoader('CA-004'),
  },
  {
    id: 'CA-005',
    title: 'One secret serves one purpose.',
    severity: 'fatal',
    why: 'Whoever learns one key must not have learned the other.',
    fix: 'Run `merlon generate-keys --secrets`, and use each line for its own name.',
    source: ['ASVS 5.0 V11.1.1'],
    check: saidByLoader('CA-005'),
  },
  {
    id: 'CA-006',
    title: 'A file with a secret is private.',
    severity: 'fatal',
    why: 'What every user of the machine can read is known to every program on it.',
    fix: 'Run chmod 600 on the file, and make a new secret if others were there.',
    source: ['ASVS 5.0 V13.3.2', 'OWASP MCP01'],
    check: saidByLoader('CA-006'),
  },
  {
    id: 'CA-007',
    title: 'Secrets come from files rather than from the environment of the process.',
    severity: 'low',
    why: 'The first environment of a process stays readable in /proc for its user, and is inherited by what was started beside it.',
    fix: 'Give the secret as file:/path (mode 600), as a mounted secret is.',
    source: ['ASVS 5.0 V13.3.1', 'ASVS 5.0 V13.3.2'],
    check: ({ process }) =>
      process.secretVariables.map((name) => ({
        where: `env:${name}`,
        says: 'is a secret in the environment of the process',
      })),
  },
]
