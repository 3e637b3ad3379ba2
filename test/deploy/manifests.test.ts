import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fileSuffix, secretNames } from '../../packages/merlon/src/config/environment.ts'
import { loadConfig } from '../../packages/merlon/src/config/load.ts'
import { ConfigError } from '../../packages/merlon/src/config/problem.ts'
import { secretOpenToOthers } from '../../packages/merlon/src/private-file.ts'
import { readDockerfile, restsOf } from './dockerfile.ts'
import { compose, deploy, manifest, manifests, read, readUnit, type Service } from './manifests.ts'

const workspace = join(deploy, '..')
const last = readDockerfile(readFileSync(join(workspace, 'Dockerfile'), 'utf8')).at(-1)!
const user = restsOf(last, 'USER')[0]!
const mounted = ['ENCRYPTION_KEY', 'API_KEY_SECRET', 'DATABASE_URL', 'REDIS_URL']
const pinned = /^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/
const replicas = Object.entries(compose.services).filter(([name]) => name.startsWith('replica-'))

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-deploy-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Secrets as make-secrets.sh makes them, in a folder of the test's. */
function secrets(): string {
  const folder = join(temporary(), 'secrets')
  execFileSync('sh', [join(deploy, 'make-secrets.sh'), folder], { stdio: 'pipe' })
  return folder
}

/** Loads these settings as a replica would, with the paths of its secrets in the folder where they are here. */
function load(environment: Readonly<Record<string, string>>, folder: string) {
  const names = Object.entries(environment).map(([name, value]) => [
    name,
    value.replace(/^\/(?:run\/secrets|etc\/merlon|creds)/, folder),
  ])
  const found = new Map(
    names.flatMap(([name, value]) => (name?.endsWith(fileSuffix) ? [[value, readFileSync(value!, 'utf8')]] : [])) as [
      string,
      string,
    ][],
  )
  return loadConfig({
    project: '/app',
    env: Object.fromEntries(names),
    files: { read: (path) => (found.has(path) ? { text: found.get(path)!, mode: 0o400 } : undefined) },
  })
}

describe('what the files tell the server is what it knows', () => {
  test.each(replicas)('SC-03: %s', (_, { environment = {} }) => {
    const folder = secrets()
    const given = { ...environment, MERLON_SERVER_PUBLIC_URL: 'https://mcp.example' }
    const { config, secrets: loaded } = load(given, folder)
    expect(config.server).toMatchObject({ host: '0.0.0.0', port: 4000, trustedProxies: ['172.30.0.10/32'] })
    expect(config.admin.listener).toBe('off')
    expect(loaded.rootKey?.export().toString('base64')).toBe(
      readFileSync(join(folder, 'encryption_key'), 'utf8').trim(),
    )
    expect(loaded.databaseUrl).toMatch(/^postgres:\/\/merlon:[0-9a-f]{64}@postgres:5432\/merlon$/)
    expect(loaded.redisUrl).toMatch(/^redis:\/\/:[0-9a-f]{64}@redis:6379$/)
    expect(environment['MERLON_SERVER_PUBLIC_URL']).toMatch(/^\$\{MERLON_PUBLIC_URL:\?/)
  })

  test('SC-03: the ConfigMap', () => {
    const { data } = manifest('ConfigMap', 'merlon-settings')
    const { config } = load(data, secrets())
    expect(config.server).toMatchObject({ host: '0.0.0.0', port: 4000, publicUrl: 'https://mcp.example' })
    expect(config.store.folder).toBe('/data/merlon')
  })

  test('SC-03: the unit', () => {
    const given = readUnit(read('systemd/merlon.service')).get('Service')!.get('Environment')!
    const names = given.map((pair) => pair.replace('%d', '/creds').split('=') as [string, string])
    const { config } = load(Object.fromEntries(names), secrets())
    expect(config.store.folder).toBe('/var/lib/merlon/data')
    expect(config.server.host).toBe('127.0.0.1')
  })

  test('a name that the server does not know would be found', () => {
    expect(() => load({ MERLON_SERVER_HOSTS: 'x' }, '/')).toThrow(ConfigError)
    const { data } = manifest('ConfigMap', 'merlon-settings')
    expect(() => load({ ...data, MERLON_SERVER_TRUSTED_PROXIES: '' }, secrets())).toThrow('CA-101')
  })

  test('SC-01: a secret is a file wherever one is given, and nowhere a value', () => {
    const all = [
      ...replicas.map(([, { environment }]) => environment ?? {}),
      manifest('ConfigMap', 'merlon-settings').data,
    ]
    for (const given of all) {
      for (const name of secretNames.keys()) expect(given[name], name).toBeUndefined()
      for (const name of mounted) expect(given[`${name}${fileSuffix}`], name).toMatch(/^\//)
    }
    const text = ['docker-compose.yml', 'systemd/merlon.service', 'proxy/haproxy.cfg'].map(read).join('\n')
    expect(`${text}${JSON.stringify(manifests)}`).not.toMatch(/:\/\/[^/\s"]*:[^/\s"@]+@|PRIVATE KEY|[A-Za-z0-9+/]{43}=/)
    expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([])
  })
})

describe('docker-compose.yml', () => {
  test('SU-05: every container is held: no write, no rights, no more of them, a bound on memory and processes', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service, name).toMatchObject({
        read_only: true,
        init: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        ulimits: { core: 0 },
        mem_limit: expect.stringMatching(/^\d+[mg]$/),
        pids_limit: expect.any(Number),
        user: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/),
      } satisfies Partial<Record<keyof Service, unknown>>)
      expect(service.privileged, name).toBeUndefined()
      if (!service.image.startsWith('merlon:')) expect(service.image).toMatch(pinned)
    }
  })

  test('three replicas, each with a data folder of its own and all else the same', () => {
    expect(replicas.map(([name]) => name)).toEqual(['replica-1', 'replica-2', 'replica-3'])
    const bare = replicas.map(([, { volumes: _, ...rest }]) => rest)
    expect(new Set(bare.map((each) => JSON.stringify(each))).size).toBe(1)
    expect(replicas.map(([, { volumes }]) => volumes)).toEqual(replicas.map(([name]) => [`${name}:/data`]))
    for (const [name, service] of replicas) {
      const delay = Number(service.environment?.['MERLON_SERVER_DRAIN_DELAY_MS']) / 1_000
      expect(delay).toBeGreaterThan(1)
      expect(Number(service.stop_grace_period?.replace('s', ''))).toBeGreaterThanOrEqual(delay + 22)
      expect(Object.hasOwn(compose.volumes, name)).toBe(true)
      expect(service.user).toBe(user)
      expect(service.ports).toBeUndefined()
    }
  })

  test('the proxy alone is reached from outside, and it alone is believed', () => {
    const open = Object.entries(compose.services).filter(([, { ports }]) => ports !== undefined)
    expect(open.map(([name, { ports }]) => [name, ports])).toEqual([['proxy', ['443:8443']]])
    const { networks } = compose.services['proxy']!
    if (!('agents' in networks)) throw new Error('the proxy has no address of its own')
    expect(replicas[0]![1].environment?.['MERLON_SERVER_TRUSTED_PROXIES']).toBe(`${networks.agents.ipv4_address}/32`)
    expect(compose.networks.agents.ipam.config).toEqual([{ subnet: '172.30.0.0/24' }])
    expect(compose.networks.data.internal).toBe(true)
    for (const name of ['postgres', 'redis']) expect(compose.services[name]!.networks).toEqual(['data'])
  })

  test('every secret that is mounted is made by make-secrets.sh, but for the certificate; every file it mounts exists', () => {
    const folder = secrets()
    const used = new Set(Object.values(compose.services).flatMap(({ secrets: names = [] }) => names))
    expect([...used].sort()).toEqual(Object.keys(compose.secrets).sort())
    const missing = [...used].filter(
      (name) => !existsSync(join(folder, compose.secrets[name]!.file.replace('./secrets/', ''))),
    )
    expect(missing).toEqual(['proxy_certificate'])
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.filter((each) => each.startsWith('.')),
    )
    expect(mounted.map((each) => each.split(':')[0]!).filter((path) => !existsSync(join(deploy, path)))).toEqual([])
    for (const each of mounted) expect(each).toMatch(/:ro$/)
  })
})

describe('make-secrets.sh', () => {
  test('SC-01: nobody else may enter the folder, the server takes what an engine mounts of it, and a second run changes nothing', () => {
    const folder = secrets()
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    const { mode, uid } = statSync(join(folder, 'encryption_key'))
    expect(secretOpenToOthers({ mode: mode & 0o777, owner: uid, mounted: true }, 65_532)).toBe(false)
    expect(secretOpenToOthers({ mode: mode & 0o777, owner: uid, mounted: false }, 65_532)).toBe(true)
    const before = readFileSync(join(folder, 'database_url'), 'utf8')
    const { stderr } = spawnSync('sh', [join(deploy, 'make-secrets.sh'), folder], { encoding: 'utf8' })
    expect(readFileSync(join(folder, 'database_url'), 'utf8')).toBe(before)
    expect(stderr).not.toContain('made ')
    expect(before).toContain(readFileSync(join(folder, 'database_password'), 'utf8').trim())
  })

  test('a Redis started with its file asks for the password, and knows the one in the address', async ({ skip }) => {
    if (spawnSync('redis-server', ['--version']).status !== 0) skip('redis-server is not installed')
    const folder = secrets()
    const socket = join(temporary(), 'redis.sock')
    const child = spawn('redis-server', [join(folder, 'redis_conf'), '--port', '0', '--unixsocket', socket], {
      stdio: 'ignore',
    })
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    const { password } = new URL(readFileSync(join(folder, 'redis_url'), 'utf8').trim())
    const asked = async (options: { password?: string }) => {
      const client = new Redis({ path: socket, ...options, retryStrategy: () => 20, maxRetriesPerRequest: 500 })
      client.on('error', () => undefined)
      try {
        return await client.config('GET', 'maxmemory-policy').catch((error: Error) => error.message)
      } finally {
        client.disconnect()
      }
    }
    expect(await asked({ password })).toEqual(['maxmemory-policy', 'noeviction'])
    expect(await asked({})).toMatch(/^NOAUTH/)
  })
})

describe('the manifests of Kubernetes', () => {
  const pods = manifests.filter(({ spec }) => spec?.template !== undefined)

  test('SU-05: every pod is held to the restricted standard, writes nowhere but its volumes and has no token', () => {
    expect(pods.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      'Deployment merlon-proxy',
      'StatefulSet merlon',
    ])
    for (const { spec } of pods) {
      const pod = spec.template.spec
      expect(pod.automountServiceAccountToken).toBe(false)
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      expect(pod.securityContext.runAsUser).toBeGreaterThan(0)
      for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) expect(pod[field]).toBeUndefined()
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(container.resources.limits.memory).toMatch(/Mi$/)
        if (!container.image.startsWith('merlon:')) expect(container.image).toMatch(pinned)
      }
      for (const { hostPath } of pod.volumes) expect(hostPath).toBeUndefined()
    }
    expect(manifest('Namespace', 'merlon').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted')
  })

  test('three replicas, each with a volume of its own, probed where the server answers', () => {
    const { spec } = manifest('StatefulSet', 'merlon')
    const pod = spec.template.spec
    const [container] = pod.containers
    expect(spec.replicas).toBe(3)
    expect(`${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`).toBe(user)
    expect(spec.volumeClaimTemplates[0].metadata.name).toBe('data')
    const { data } = manifest('ConfigMap', 'merlon-settings')
    expect(data.MERLON_STORE_FOLDER.startsWith(`${container.volumeMounts[0].mountPath}/`)).toBe(true)
    const { config } = load(data, secrets())
    expect(container.ports).toEqual([{ name: 'mcp', containerPort: config.server.port }])
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const { path, port, httpHeaders } = container[probe].httpGet
      expect({ path, port }).toEqual({ path: probe === 'readinessProbe' ? '/ready' : config.health.path, port: 'mcp' })
      expect(httpHeaders).toEqual([{ name: 'Host', value: `${config.server.host}:${config.server.port}` }])
    }
    const delay = config.server.drainDelayMs / 1_000
    // Asked often enough to hear of it in that time.
    expect(container.readinessProbe.periodSeconds * container.readinessProbe.failureThreshold).toBeLessThan(delay)
    // What serve.ts gives to calls under way (10 s), to connections after them (1 s), and as much again.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(delay + 22)
  })

  test('SC-01: the secrets that it is told to read are mounted from one that is referred to, with bits that it takes', () => {
    const pod = manifest('StatefulSet', 'merlon').spec.template.spec
    const { secret } = pod.volumes.find(({ name }: { name: string }) => name === 'secrets')
    expect(secret).toEqual({ secretName: 'merlon-secrets', defaultMode: 0o440 })
    // With fsGroup the file is root's, and the group of the server may read it.
    expect(secretOpenToOthers({ mode: secret.defaultMode, owner: 0 }, pod.securityContext.runAsUser)).toBe(false)
    expect(pod.securityContext.fsGroup).toBe(pod.securityContext.runAsGroup)
    const { mountPath } = pod.containers[0].volumeMounts.find(({ name }: { name: string }) => name === 'secrets')
    const { data } = manifest('ConfigMap', 'merlon-settings')
    const paths = Object.entries<string>(data).filter(([name]) => name.endsWith(fileSuffix))
    for (const [, path] of paths) expect(path.startsWith(`${mountPath}/`)).toBe(true)
    expect(paths.map(([name]) => name.slice(0, -fileSuffix.length)).sort()).toEqual([...mounted].sort())
  })

  test('nothing comes in but what is named, and to a replica the proxy alone', () => {
    expect(manifest('NetworkPolicy', 'nothing').spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
    const labels = manifest('Deployment', 'merlon-proxy').spec.template.metadata.labels
    expect(manifest('NetworkPolicy', 'merlon').spec.ingress).toEqual([
      { from: [{ podSelector: { matchLabels: labels } }], ports: [{ port: 4000, protocol: 'TCP' }] },
    ])
  })

  test('what selects pods selects some, and what is named in the same namespace is there', () => {
    const labels = pods.map(({ spec }) => JSON.stringify(spec.template.metadata.labels))
    for (const { kind, spec } of manifests) {
      const selector = kind === 'Service' ? spec.selector : spec?.selector?.matchLabels
      if (selector !== undefined) expect(labels).toContain(JSON.stringify(selector))
    }
    const { scaleTargetRef, maxReplicas } = manifest('HorizontalPodAutoscaler', 'merlon').spec
    expect(manifest(scaleTargetRef.kind, scaleTargetRef.name)).toBeDefined()
    expect(read('proxy/haproxy.cfg')).toContain(`server-template replica ${maxReplicas} `)
    expect(manifests.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'merlon')).toEqual(
      [],
    )
  })

  test('kubectl puts them together', ({ skip }) => {
    if (spawnSync('kubectl', ['version', '--client']).status !== 0) skip('kubectl is not installed')
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', deploy], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/name: merlon-proxy-\w{10}\n/)
    expect(stdout).not.toContain('HorizontalPodAutoscaler')
  })
})

describe('the unit of systemd', () => {
  const unit = readUnit(read('systemd/merlon.service'))
  const service = unit.get('Service')!

  test('SU-05, SC-05: no rights, no write beyond its folder, no core, secrets as credentials', () => {
    expect([...unit.keys()]).toEqual(['Unit', 'Service', 'Install'])
    for (const name of [
      'NoNewPrivileges',
      'DynamicUser',
      'PrivateTmp',
      'PrivateDevices',
      'ProtectHome',
      'ProtectKernelLogs',
    ])
      expect(service.get(name), name).toEqual(['yes'])
    expect(service.get('ProtectSystem')).toEqual(['strict'])
    expect(service.get('CapabilityBoundingSet')).toEqual([''])
    expect(service.get('LimitCORE')).toEqual(['0'])
    const credentials = service.get('LoadCredential')!.map((each) => each.split(':')[0])
    const files = service.get('Environment')!.flatMap((each) => /_FILE=%d\/(.+)$/.exec(each)?.[1] ?? [])
    expect(files).toEqual(credentials)
  })

  test('its commands are commands of merlon, and it waits for the stop as long as the stop takes', () => {
    const words = [...service.get('ExecStart')!, ...service.get('ExecStartPost')!].map((line) =>
      line.split(' ').slice(2),
    )
    expect(words).toEqual([
      ['start', '--project', '/srv/merlon'],
      ['health', '--ready', '--wait', '60', '--project', '/srv/merlon'],
    ])
    expect(service.get('KillSignal')).toEqual(['SIGTERM'])
    expect(Number(service.get('TimeoutStopSec')![0])).toBeGreaterThanOrEqual(22)
    expect(Number(service.get('TimeoutStartSec')![0])).toBeGreaterThan(60)
  })

  test('SU-05: systemd itself finds little that it could do', ({ skip }) => {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) skip('systemd-analyze is not installed')
    const words = ['security', '--offline=true', '--threshold=20', '--no-pager', join(deploy, 'systemd/merlon.service')]
    const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' })
    if (/unrecognized option|Unknown/.test(stderr)) skip('this systemd-analyze is too old to look at a file')
    expect(stdout).toMatch(/Overall exposure level for merlon\.service: [01]\.\d/)
    expect(status, stderr).toBe(0)
  })
})

describe('the proxy', () => {
  const config = read('proxy/haproxy.cfg')

  test('it tells whose address it is, asks nothing again that has begun, and keeps nobody to a replica', () => {
    expect(config).toContain('http-request set-header X-Forwarded-For %[src]')
    expect(/retry-on (.*)/.exec(config)?.[1]).toBe('conn-failure 503')
    expect(config).toContain('balance roundrobin')
    expect(config).not.toMatch(/stick|cookie|balance source|option forwardfor/)
    expect(config).toContain('http-check send meth GET uri /ready')
  })

  test('it lets go of idle connections before a replica closes them, here and in the guide', () => {
    const guide = readFileSync(join(workspace, 'docs/guide/tls-and-proxies.md'), 'utf8')
    for (const text of [config, guide]) {
      // keepAliveTimeout of the server is 5 s, and half of those that idle go at a time.
      expect(/(?:default-)?server .*pool-purge-delay (\S+)$/m.exec(text)?.[1]).toBe('1s')
      expect(text).not.toMatch(/^ *(?:http-reuse|option prefer-last-server)/m)
    }
  })

  test('HAProxy takes it', ({ skip }) => {
    if (spawnSync('haproxy', ['-v']).status !== 0) skip('haproxy is not installed')
    const folder = temporary()
    const both = join(folder, 'both.pem')
    const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '2']
    const key = join(folder, 'key.pem')
    const certificate = execFileSync('openssl', [...words, '-keyout', key], { encoding: 'utf8', stdio: 'pipe' })
    writeFileSync(both, certificate + readFileSync(key, 'utf8'))
    const env = { PATH: process.env['PATH'], MERLON_REPLICAS: 'merlon', PROXY_CERTIFICATE: both }
    const checked = spawnSync('haproxy', ['-c', '-f', join(deploy, 'proxy/haproxy.cfg')], { env, encoding: 'utf8' })
    expect(checked.status, checked.stderr).toBe(0)
    expect(checked.stderr).not.toMatch(/WARNING|ALERT/)
  })
})

test('every script of shell is one', () => {
  for (const script of ['make-secrets.sh', 'postgres/create-role.sh']) {
    expect(spawnSync('sh', ['-n', join(deploy, script)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(join(deploy, script)).mode & 0o111, script).toBe(0o111)
  }
})
