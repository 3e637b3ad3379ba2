import { isLoopback } from '../../config/values.ts'
import { type Rule, saidByLoader, setting } from '../rule.ts'

/** The control plane: users, keys, audit. */
export const controlRules: readonly Rule[] = [
  {
    id: 'CA-121',
    title: 'Beyond loopback the control plane is served only with TLS, or behind a named TLS-terminating proxy.',
    severity: 'fatal',
    why: 'Passwords and new keys would cross the network in clear.',
    fix: 'Set tls.certificatePath and tls.keyPath, name the proxy in server.trustedProxies, or set admin.host to 127.0.0.1.',
    source: ['ASVS 5.0 V12.2.1', 'ASVS 5.0 V8.4.2'],
    check: saidByLoader('CA-121'),
  },
  {
    id: 'CA-122',
    title: 'The control plane has a port of its own.',
    severity: 'fatal',
    why: 'One of the two would not be there, and its callers would reach the other.',
    fix: 'Name another port in admin.port.',
    source: ['ASVS 5.0 V8.4.2'],
    check: saidByLoader('CA-122'),
  },
  {
    id: 'CA-123',
    title: 'Beside the MCP endpoint the control plane has paths of its own.',
    severity: 'fatal',
    why: 'One of two routes on one path would be served without its guards.',
    fix: 'Choose another path for the endpoint, or set admin.listener to own.',
    source: ['ASVS 5.0 V8.4.2', 'ASVS 5.0 V8.2.1'],
    check: saidByLoader('CA-123'),
  },
  {
    id: 'CA-124',
    title: 'The control plane is not on the listener of the agents.',
    severity: 'high',
    why: 'Whoever reaches the tools then reaches the door to users and keys too.',
    fix: 'Set admin.listener to own, or off where the socket in the data folder is enough.',
    source: ['ASVS 5.0 V8.4.2', 'OWASP MCP07'],
    check: (facts) =>
      setting(facts, 'admin.listener', facts.config.admin.listener === 'shared', 'is served beside the MCP endpoint'),
  },
  {
    id: 'CA-125',
    title: 'The control plane is reached from this machine alone.',
    severity: 'medium',
    why: 'What listens on the network is tried from the network.',
    fix: 'Set admin.host to 127.0.0.1, and reach it through a tunnel or a proxy that asks for more.',
    source: ['ASVS 5.0 V8.4.2'],
    check: (facts) => {
      const { listener, host } = facts.config.admin
      return setting(facts, 'admin.host', listener === 'own' && !isLoopback(host), 'listens beyond this machine')
    },
  },
  {
    id: 'CA-126',
    title: 'The public address of the control plane is https.',
    severity: 'high',
    why: 'Whoever manages users is told to send a password in clear.',
    fix: 'Set admin.publicUrl to the https address.',
    source: ['ASVS 5.0 V12.2.1', 'ASVS 5.0 V8.4.2'],
    check: (facts) => {
      const { publicUrl } = facts.config.admin
      const host = /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(publicUrl ?? '')?.[1]?.replace(/^\[|\]$/g, '')
      return setting(facts, 'admin.publicUrl', host !== undefined && !isLoopback(host), 'is in clear')
    },
  },
]
