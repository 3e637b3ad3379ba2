import { listening } from '../../config/listening.ts'
import type { CertificateFacts, DatabaseFacts, Facts, ServiceFacts } from '../facts.ts'
import { type Found, type Rule, saidByLoader, setting } from '../rule.ts'

const day = 86_400_000

const ofCertificate = (
  { certificate }: Facts,
  bad: (found: CertificateFacts) => boolean,
  says: (found: CertificateFacts) => string,
): readonly Found[] =>
  certificate !== undefined && bad(certificate) ? [{ where: certificate.path, says: says(certificate) }] : []

const ofService = <S extends ServiceFacts>(
  service: S | undefined,
  bad: (found: S) => boolean,
  says: string,
): readonly Found[] =>
  service !== undefined && bad(service) ? [{ where: service.where, path: service.path, says }] : []

const date = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** TLS of our own, and the connections to the services behind us. */
export const tlsRules: readonly Rule[] = [
  {
    id: 'CA-201',
    title: 'A certificate comes with its key.',
    severity: 'fatal',
    why: 'With one of the two there is no TLS, and somebody believes that there is.',
    fix: 'Set tls.certificatePath and tls.keyPath, or neither.',
    source: ['ASVS 5.0 V12.2.1'],
    check: saidByLoader('CA-201'),
  },
  {
    id: 'CA-202',
    title: 'The certificate is valid today.',
    severity: 'high',
    why: 'Clients refuse it, or are taught to look away.',
    fix: 'Renew it; a running server takes the new files by itself.',
    source: ['ASVS 5.0 V12.2.2'],
    check: (facts) =>
      ofCertificate(
        facts,
        ({ notBefore, notAfter }) => facts.now < notBefore || facts.now >= notAfter,
        ({ notBefore, notAfter }) => `is valid from ${date(notBefore)} to ${date(notAfter)}`,
      ),
  },
  {
    id: 'CA-203',
    title: 'The certificate does not end within two weeks.',
    severity: 'medium',
    why: 'When it ends, every client stops at once.',
    fix: 'Renew it, and let something renew it from now on.',
    source: ['ASVS 5.0 V12.2.2'],
    check: (facts) =>
      ofCertificate(
        facts,
        ({ notAfter }) => notAfter > facts.now && notAfter - facts.now < 14 * day,
        ({ notAfter }) => `ends on ${date(notAfter)}`,
      ),
  },
  {
    id: 'CA-204',
    title: 'The key of the certificate is strong enough.',
    severity: 'high',
    why: 'RSA below 2048 bits and curves below 256 bits are within reach of those who can pay.',
    fix: 'Make a new key, EC P-256 or RSA 3072, and a certificate for it.',
    source: ['ASVS 5.0 V11.2.3', 'ASVS 5.0 V12.1.1'],
    check: (facts) =>
      ofCertificate(
        facts,
        ({ key }) => (key.kind === 'rsa' ? key.bits < 2_048 : key.kind === 'ec' ? key.bits < 256 : key.kind === 'dsa'),
        ({ key }) => `has a ${key.kind} key of ${key.bits} bits`,
      ),
  },
  {
    id: 'CA-205',
    title: 'The private key of the certificate is private.',
    severity: 'fatal',
    why: 'Whoever reads it can be the server.',
    fix: 'Run chmod 600 on it, and have a new certificate made if others were there.',
    source: ['ASVS 5.0 V13.3.2', 'OWASP MCP01'],
    check: ({ files }) =>
      (files?.placed ?? []).flatMap(({ role, path, mode }) =>
        role === 'private key' && (mode & 0o077) !== 0
          ? [{ where: path, says: 'others can read or change it', fix: `Run chmod 600 ${path}` }]
          : [],
      ),
  },
  {
    id: 'CA-206',
    title: 'The certificate names the public address.',
    severity: 'high',
    why: 'Clients refuse a certificate for another name.',
    fix: 'Have a certificate made for the host of server.publicUrl.',
    source: ['ASVS 5.0 V12.2.2'],
    check: (facts) =>
      ofCertificate(
        facts,
        ({ namesPublicHost }) => namesPublicHost === false,
        () => 'does not name the host of server.publicUrl',
      ),
  },
  {
    id: 'CA-207',
    title: 'A public address has a certificate that clients trust.',
    severity: 'medium',
    why: 'A certificate that signs itself makes clients switch the check off.',
    fix: 'Take one from an authority that the clients trust, or give them yours.',
    source: ['ASVS 5.0 V12.2.2'],
    check: (facts) =>
      ofCertificate(
        facts,
        ({ selfSigned, namesPublicHost }) => selfSigned && namesPublicHost !== undefined,
        () => 'is signed by itself',
      ),
  },
  {
    id: 'CA-208',
    title: 'A port for TLS has a certificate.',
    severity: 'fatal',
    why: 'Without one nothing listens there, and somebody believes that TLS does.',
    fix: 'Set tls.certificatePath and tls.keyPath, or leave tls.port out.',
    source: ['ASVS 5.0 V12.2.1'],
    check: saidByLoader('CA-208'),
  },
  {
    id: 'CA-209',
    title: 'TLS and plain HTTP have a port each.',
    severity: 'fatal',
    why: 'One of the two would not be there, and its callers would reach the other.',
    fix: 'Name another port in tls.port, or leave it out: then the one port speaks TLS and nothing else.',
    source: ['ASVS 5.0 V12.2.1'],
    check: saidByLoader('CA-209'),
  },
  {
    id: 'CA-210',
    title: 'Client certificates are asked for with TLS, and of a named authority.',
    severity: 'fatal',
    why: 'A lock that is never asked for, or that every key opens, is none, and somebody believes that it is one.',
    fix: 'Set tls.clientCertificate, tls.clientCaPath and the certificate of the server together.',
    source: ['ASVS 5.0 V12.1.3'],
    check: saidByLoader('CA-210'),
  },
  {
    id: 'CA-211',
    title: 'Where client certificates are required, no door is open without one.',
    severity: 'medium',
    why: 'Whoever reaches the port in clear needs no certificate.',
    fix: 'Leave tls.port out, so that the one port speaks TLS, or keep all but the proxy and the probes from server.port.',
    source: ['ASVS 5.0 V12.1.3'],
    check: (facts) => {
      const { tls } = facts.config
      const bad = tls.clientCertificate === 'required' && listening(facts.config).clear !== undefined
      return setting(facts, 'tls.port', bad, 'leaves server.port in clear, where no certificate is asked for')
    },
  },
  {
    id: 'CA-251',
    title: 'The connection to a database elsewhere is encrypted.',
    severity: 'high',
    why: 'The password of the database and every digest of a key cross the network in clear.',
    fix: 'Add ?sslmode=verify-full to the address.',
    source: ['ASVS 5.0 V12.3.1', 'ASVS 5.0 V12.3.3'],
    check: ({ database }) =>
      ofService(database, ({ remote, encrypted }) => remote && !encrypted, 'names a database elsewhere without TLS'),
  },
  {
    id: 'CA-252',
    title: 'The certificate of the database is looked at.',
    severity: 'medium',
    why: 'Encryption to whoever answers protects from nobody who is in between.',
    fix: 'Use sslmode=verify-full, with sslrootcert where the authority is your own.',
    source: ['ASVS 5.0 V12.3.2'],
    check: ({ database }) =>
      ofService(
        database,
        ({ remote, encrypted, verified }) => remote && encrypted && !verified,
        'takes any certificate of the database',
      ),
  },
  {
    id: 'CA-253',
    title: 'The role in the database is neither superuser nor past row security.',
    severity: 'high',
    why: 'Row security keeps tenants apart even where a query is wrong; such a role is not held by it.',
    fix: 'Give the server a role of its own: NOSUPERUSER NOBYPASSRLS.',
    source: ['ASVS 5.0 V13.2.2', 'ASVS 5.0 V8.4.1'],
    check: ({ database }) =>
      ofService<DatabaseFacts>(
        database,
        ({ role }) => role?.superuser === true || role?.bypassesRowSecurity === true,
        'connects with a role that row security does not hold',
      ),
  },
  {
    id: 'CA-254',
    title: 'A database elsewhere asks for a password or a certificate.',
    severity: 'medium',
    why: 'A database that trusts an address trusts every program there.',
    fix: 'Give the role a password (scram-sha-256), and put it in the address that the secret holds.',
    source: ['ASVS 5.0 V13.2.1'],
    check: ({ database }) =>
      ofService(database, ({ remote, password }) => remote && !password, 'names no password and no certificate'),
  },
  {
    id: 'CA-255',
    title: 'The connection to a Redis elsewhere is encrypted.',
    severity: 'high',
    why: 'Its password and the state of limits cross the network in clear, and can be changed there.',
    fix: 'Use rediss:// in the address.',
    source: ['ASVS 5.0 V12.3.1', 'ASVS 5.0 V12.3.3'],
    check: ({ redis }) =>
      ofService(redis, ({ remote, encrypted }) => remote && !encrypted, 'names a Redis elsewhere without TLS'),
  },
  {
    id: 'CA-256',
    title: 'A Redis elsewhere asks for a password.',
    severity: 'high',
    why: 'Whoever reaches it can take away every limit.',
    fix: 'Give Redis a user with a password (ACL), and put both in the address that the secret holds.',
    source: ['ASVS 5.0 V13.2.1', 'ASVS 5.0 V13.2.3'],
    check: ({ redis }) => ofService(redis, ({ remote, password }) => remote && !password, 'names no password'),
  },
]
