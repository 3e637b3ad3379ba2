import type { PackageFacts } from '../facts.ts'
import { type Found, place, type Rule } from '../rule.ts'
import { leavesOut } from './files.ts'

/** The oldest release without a hole that reaches an MCP server, and where that is told. */
const least: ReadonlyMap<string, readonly [number, number, number]> = new Map([
  ['@modelcontextprotocol/sdk', [1, 26, 0]],
  ['ws', [8, 21, 1]],
  ['undici', [7, 18, 2]],
  ['fastify', [5, 8, 3]],
])

const loose = /^(?:\*|x|latest|next|)$|^(?:git|github|gitlab|bitbucket|https?|ssh)[:+]|^[\w.-]+\/[\w.-]+(?:#|$)/i

const ofLocked = (
  packages: PackageFacts | undefined,
  bad: (entry: PackageFacts['locked'][number]) => boolean,
  says: string,
): readonly Found[] =>
  (packages?.locked ?? [])
    .filter(bad)
    .map(({ name, version }) => ({ where: packages?.lockfile ?? '', says: `${name} ${version} ${says}` }))

/** What the project is made of, and the image it runs in. */
export const supplyRules: readonly Rule[] = [
  {
    id: 'CA-901',
    title: 'There is a lockfile.',
    severity: 'medium',
    why: 'Without one each installation may get other code.',
    fix: 'Run npm install, and commit package-lock.json; install with npm ci.',
    source: ['ASVS 5.0 V15.2.4', 'OWASP MCP04', 'NPM cheat sheet'],
    check: ({ packages }) =>
      place('package.json', packages !== undefined && packages.lockfile === undefined, 'has no lockfile beside it'),
  },
  {
    id: 'CA-902',
    title: 'Installing runs no scripts of others.',
    severity: 'low',
    why: 'An install script runs before anybody looked at it, with all that its user may do.',
    fix: 'Write ignore-scripts=true into .npmrc.',
    source: ['NPM cheat sheet', 'OWASP MCP04'],
    check: ({ packages }) => place('.npmrc', packages?.ignoresScripts === false, 'lets install scripts run'),
  },
  {
    id: 'CA-903',
    title: 'Dependencies name a release.',
    severity: 'medium',
    why: '`latest`, `*` and a repository mean whatever somebody puts there.',
    fix: 'Name the release: npm install --save-exact.',
    source: ['ASVS 5.0 V15.2.4', 'OWASP MCP04'],
    check: ({ packages }) =>
      (packages?.asked ?? [])
        .filter(({ spec }) => loose.test(spec))
        .map(({ name, spec }) => ({
          where: 'package.json',
          says: `${name} asks for ${spec === '' ? 'anything' : spec}`,
        })),
  },
  {
    id: 'CA-904',
    title: 'The lockfile holds a digest of every package.',
    severity: 'medium',
    why: 'Without a digest the registry, or whoever is in between, decides what is installed.',
    fix: 'Delete node_modules and the lockfile, and run npm install.',
    source: ['ASVS 5.0 V15.2.4', 'NPM cheat sheet'],
    check: ({ packages }) =>
      ofLocked(
        packages,
        ({ integrity, resolved }) => !integrity && resolved !== undefined && /^https?:/.test(resolved),
        'has no digest',
      ),
  },
  {
    id: 'CA-905',
    title: 'Packages come by https.',
    severity: 'high',
    why: 'What comes in clear can be changed on its way.',
    fix: 'Use the https address of the registry in .npmrc, and make the lockfile anew.',
    source: ['ASVS 5.0 V15.2.4', 'OWASP MCP04'],
    check: ({ packages }) =>
      ofLocked(packages, ({ resolved }) => resolved?.startsWith('http:') === true, 'comes in clear'),
  },
  {
    id: 'CA-906',
    title: 'No dependency has a hole that is known to reach an MCP server.',
    severity: 'high',
    why: 'These were found in servers like this one, and mended since.',
    fix: 'Update the package.',
    source: ['ASVS 5.0 V15.2.1', 'CVE-2026-25536', 'CVE-2026-48779', 'CVE-2026-22036', 'CVE-2026-3635'],
    check: ({ packages }) =>
      ofLocked(packages, ({ name, version }) => isBelow(version, least.get(name)), 'is older than the fix'),
  },
  {
    id: 'CA-907',
    title: 'The image does not run as root.',
    severity: 'medium',
    why: 'Whatever breaks out of the server is root in the container, and closer to it outside.',
    fix: 'Write USER 65532:65532 (or another that is not root) into the last stage of the Dockerfile.',
    source: ['Docker cheat sheet', 'ASVS 5.0 V13.2.2'],
    check: ({ packages }) => {
      const { dockerfile } = packages ?? {}
      if (dockerfile === undefined) return []
      const stage = dockerfile.slice(dockerfile.findLastIndex((line) => /^FROM\s/i.test(line)))
      const user = stage.findLast((line) => /^USER\s/i.test(line))?.split(/\s+/)[1]
      return place('Dockerfile', user === undefined || /^(?:root|0)(?::|$)/.test(user), 'runs its last stage as root')
    },
  },
  {
    id: 'CA-908',
    title: 'Secrets stay out of the image.',
    severity: 'medium',
    why: 'A layer keeps what was copied into it, for whoever pulls the image.',
    fix: 'Name .env and the data folder in .dockerignore.',
    source: ['Docker cheat sheet', 'ASVS 5.0 V13.3.1'],
    check: ({ packages, config }) => {
      if (packages?.dockerfile === undefined) return []
      const wanted = ['.env', ...(config.store.folder.startsWith('/') ? [] : [config.store.folder])]
      return wanted
        .filter((name) => !leavesOut(packages.dockerIgnored, name))
        .map((name) => ({ where: '.dockerignore', says: `does not name ${name}` }))
    },
  },
  {
    id: 'CA-909',
    title: 'The base of the image is pinned.',
    severity: 'low',
    why: 'A tag means whatever was last pushed under it.',
    fix: 'Add the digest: FROM node:24.21.0-trixie-slim@sha256:…',
    source: ['Docker cheat sheet', 'OWASP MCP04'],
    check: ({ packages }) => {
      const { dockerfile = [] } = packages ?? {}
      const defaults = new Map(dockerfile.flatMap((line) => pairs(/^ARG\s+(\w+)=(\S+)/i.exec(line))))
      const stages = new Set(dockerfile.flatMap((line) => /^FROM\s.*\sAS\s+(\S+)/i.exec(line)?.[1] ?? []))
      const bases = dockerfile.flatMap((line) => /^FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line)?.[1] ?? [])
      const named = bases.map((base) => base.replace(/^\$\{?(\w+)\}?$/, (_, name: string) => defaults.get(name) ?? ''))
      return [...new Set(named)].flatMap((base) =>
        place(
          'Dockerfile',
          !stages.has(base) && base !== 'scratch' && !base.includes('@sha256:'),
          `${base} has no digest`,
        ),
      )
    },
  },
  {
    id: 'CA-910',
    title: 'No secret is given to the build of the image.',
    severity: 'high',
    why: 'ARG and ENV are kept in the image for everybody who pulls it.',
    fix: 'Give secrets when the container starts, as files; for the build use RUN --mount=type=secret.',
    source: ['Docker cheat sheet', 'ASVS 5.0 V13.3.1'],
    check: ({ packages }) =>
      (packages?.dockerfile ?? []).flatMap((line) => {
        const name = /^(?:ARG|ENV)\s+(\w*(?:SECRET|PASSWORD|TOKEN|API_KEY|ENCRYPTION_KEY|DATABASE_URL)\w*)/i.exec(
          line,
        )?.[1]
        return place('Dockerfile', name !== undefined, `${name ?? ''} becomes a part of the image`)
      }),
  },
]

function isBelow(version: string, fixed: readonly [number, number, number] | undefined): boolean {
  if (fixed === undefined) return false
  const parts = version.split('-')[0]!.split('.').map(Number)
  for (const [at, wanted] of fixed.entries()) {
    const part = parts[at] ?? 0
    if (part !== wanted) return part < wanted
  }
  return false
}

function pairs(found: RegExpExecArray | null): readonly (readonly [string, string])[] {
  return found === null ? [] : [[found[1]!, found[2]!]]
}
