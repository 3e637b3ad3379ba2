import type { Rule } from '../rule.ts'
import { catalogRules } from './catalog.ts'
import { controlRules } from './control.ts'
import { fileRules } from './files.ts'
import { identityRules } from './identity.ts'
import { issuerRules } from './issuers.ts'
import { limitRules } from './limits.ts'
import { networkRules } from './network.ts'
import { operationRules } from './operations.ts'
import { runtimeRules } from './runtime.ts'
import { secretRules } from './secrets.ts'
import { supplyRules } from './supply.ts'
import { tlsRules } from './tls.ts'

/** All rules, by what they are about. */
export const ruleGroups: ReadonlyMap<string, readonly Rule[]> = new Map([
  ['Settings and secrets', secretRules],
  ['Network, hosts and origins', networkRules],
  ['The control plane', controlRules],
  ['TLS and the services behind', tlsRules],
  ['Keys and roles', identityRules],
  ['Other issuers', issuerRules],
  ['Limits', limitRules],
  ['Audit and operation', operationRules],
  ['Files', fileRules],
  ['The process', runtimeRules],
  ['Tools, resources and prompts', catalogRules],
  ['Packages and image', supplyRules],
])

export const rules: readonly Rule[] = Object.freeze([...ruleGroups.values()].flat())
