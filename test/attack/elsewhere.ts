/** The attacks of the corpus that this release answers for, by area: each is a row of the attack table, or stands below. */
export const corpus = {
  JWT: ['O-042', 'O-043', 'O-044', 'O-045', 'O-046', 'O-047', 'O-048', 'O-049', 'O-050', 'O-113'],
  'Authorization and tenants': [...['O-062', 'O-063', 'O-064', 'O-065', 'O-066', 'O-067', 'O-068', 'O-115', 'O-116']],
  Sessions: ['O-069', 'O-070', 'O-071', 'O-072', 'O-073', 'O-074', 'O-075', 'O-076', 'O-117', 'O-118'],
  'Event history': ['O-077', 'O-078', 'O-079', 'O-080'],
  Crypto: ['O-081', 'O-082', 'O-083'],
  'Load and limits': ['O-084', 'O-085', 'O-086', 'O-087', 'O-088', 'O-089', 'O-090', 'O-091'],
  WebSocket: ['O-092', 'O-093', 'O-094'],
  Admin: ['O-102', 'O-103', 'O-104', 'O-105', 'O-106', 'O-119'],
  Audit: ['O-107', 'O-108', 'O-109', 'O-120'],
  Configuration: ['O-110'],
} as const

/** A test that makes an attack of the corpus, and is no row of the attack table. */
export interface Elsewhere {
  /** Why it is no row. */
  readonly because: string
  readonly file: string
  /** Words of the title of the test. */
  readonly title: string
}

export const elsewhere: Readonly<Record<string, Elsewhere>> = {
  'O-083': {
    because: 'The server is killed while its keys are rotated.',
    file: 'test/fault/encryption-keys.test.ts',
    title: 'rotations under load, with the server killed in the midst, leave nothing unreadable (O-083)',
  },
  'O-090': {
    because: 'Redis is taken away and given back.',
    file: 'test/fault/redis.test.ts',
    title: 'O-090, RL-02: it %s under calls: nobody comes in who may not, and all goes on when it is back',
  },
  'O-106': {
    because:
      'It needs a web page that shows what clients said, and there is none. The one page is made from the operations alone, and has no script.',
    file: 'test/matrix/control.test.ts',
    title: 'AD-10: without a credential there is a sign of life, and nothing else',
  },
  'O-113': {
    because: 'What is taken back at one of two servers is tried at both.',
    file: 'test/fault/two-servers.test.ts',
    title: 'O-113 RS-12 SE-05: %s is refused by both, and loses its streams and its sessions at both',
  },
  'O-119': {
    because:
      'It needs a web page that signs people in, and there is none. Nobody is given a cookie: a sign-in is a token.',
    file: 'test/tokens/sign-in.test.ts',
    title: 'AD-01: is a token, and nobody is given a cookie (O-119)',
  },
}
