import { adminScope } from '../../policy/scopes.ts'
import type { Facts, ToolFacts } from '../facts.ts'
import { type Found, place, type Rule } from '../rule.ts'

const ofTools = ({ catalog }: Facts, bad: (tool: ToolFacts) => boolean, says: string): readonly Found[] =>
  (catalog?.tools ?? []).filter(bad).map(({ name }) => ({ where: `tool ${name}`, says }))

/** Format characters: a reader does not see them and a model does. Those that join the parts of an emoji are left alone. */
const invisible = /(?<!\p{Extended_Pictographic}\ufe0f?)\u200d|(?!\u200d)\p{Cf}/u

/** A parameter that asks for a credential: as a word of its own, so that `tokens` of a text is none. */
const credentialName =
  /^(?:.*[_-])?(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?token|private[_-]?key)$/i

const parameters = ({ inputSchema }: ToolFacts): Readonly<Record<string, unknown>> => {
  const { properties } = inputSchema
  return typeof properties === 'object' && properties !== null ? (properties as Record<string, unknown>) : {}
}

/** What the server offers. */
export const catalogRules: readonly Rule[] = [
  {
    id: 'CA-801',
    title: 'The catalog loads.',
    severity: 'fatal',
    why: 'A server with a part of its catalog would answer as if the rest had never been.',
    fix: 'Mend the files that `merlon build` names.',
    source: ['ASVS 5.0 V16.5.3'],
    check: ({ catalog }) => place('the catalog', catalog?.problem !== undefined, catalog?.problem ?? ''),
  },
  {
    id: 'CA-802',
    title: 'Every tool names its scope.',
    severity: 'low',
    why: 'A tool without one asks for `write`, which most keys have: whether that is enough was nobody’s decision.',
    fix: 'Write scope into defineTool.',
    source: ['ASVS 5.0 V8.2.1', 'OWASP MCP02', 'MCP tools'],
    check: (facts) => ofTools(facts, ({ scopeNamed }) => !scopeNamed, 'names no scope, so it asks for write'),
  },
  {
    id: 'CA-803',
    title: 'What is offered can be reached by somebody.',
    severity: 'medium',
    why: 'A tool whose scope no role holds is called by nobody; often its scope is misspelt.',
    fix: 'Give the scope to a role, or mend its name.',
    source: ['ASVS 5.0 V8.2.1'],
    check: ({ catalog, config }) => {
      const roles = Object.values(config.roles)
      const held = (scope: string) => roles.some((scopes) => scopes.includes(scope) || scopes.includes(adminScope))
      return [...(catalog?.tools ?? []), ...(catalog?.others ?? [])]
        .filter(({ scope }) => !held(scope))
        .map(({ name, scope }) => ({ where: name, says: `asks for ${scope}, which no role holds` }))
    },
  },
  {
    id: 'CA-804',
    title: 'A tool that destroys asks for more than read.',
    severity: 'high',
    why: 'Keys for reading are given to programs that nobody watches.',
    fix: 'Ask for write, admin or a scope of its own; annotations are hints, and protect nothing.',
    source: ['MCP tools', 'OWASP MCP02'],
    check: (facts) =>
      ofTools(
        facts,
        ({ scope, annotations }) => scope === 'read' && annotations.destructiveHint === true,
        'destroys, and asks for read',
      ),
  },
  {
    id: 'CA-805',
    title: 'A tool takes the arguments it names, and no others.',
    severity: 'medium',
    why: 'An argument that nobody described reaches the code unchecked.',
    fix: 'Describe the input with z.strictObject, or additionalProperties: false.',
    source: ['MCP tools', 'OWASP MCP05'],
    check: (facts) =>
      ofTools(
        facts,
        ({ inputSchema }) =>
          inputSchema['additionalProperties'] !== false && inputSchema['unevaluatedProperties'] !== false,
        'takes arguments that it does not name',
      ),
  },
  {
    id: 'CA-806',
    title: 'Descriptions hold nothing that a person cannot see.',
    severity: 'high',
    why: 'A model reads the characters that a reviewer does not: that is how a tool is poisoned.',
    fix: 'Write the description anew, by hand.',
    source: ['OWASP MCP03', 'OWASP MCP06'],
    check: ({ catalog }) =>
      [...(catalog?.tools ?? []), ...(catalog?.others ?? [])]
        .filter(({ description }) => invisible.test(description))
        .map(({ name }) => ({ where: name, says: 'has characters in its description that cannot be seen' })),
  },
  {
    id: 'CA-807',
    title: 'No tool asks for a credential.',
    severity: 'medium',
    why: 'What a model fills in is in its context, in its provider’s logs and in those of the client.',
    fix: 'Keep the credential on the server, by a reference in the environment of the tool.',
    source: ['MCP elicitation', 'OWASP MCP01', 'OWASP MCP10'],
    check: (facts) =>
      ofTools(
        facts,
        (tool) => Object.keys(parameters(tool)).some((name) => credentialName.test(name)),
        'has a parameter for a credential',
      ),
  },
  {
    id: 'CA-808',
    title: 'Names of tools differ by more than their case.',
    severity: 'medium',
    why: 'A model takes one for the other.',
    fix: 'Rename one of them.',
    source: ['OWASP MCP03'],
    check: ({ catalog }) => {
      const alike = Map.groupBy(catalog?.tools ?? [], ({ name }) => name.toLowerCase().replaceAll(/[-_.]/g, ''))
      return [...alike.values()]
        .filter((tools) => tools.length > 1)
        .map((tools) => ({ where: tools.map(({ name }) => name).join(', '), says: 'read alike' }))
    },
  },
  {
    id: 'CA-809',
    title: 'A description is no essay.',
    severity: 'low',
    why: 'Every description is sent with every list; a long one is where instructions hide and money goes.',
    fix: 'Say in 2000 characters or fewer what the tool does; the rest belongs in a resource.',
    source: ['OWASP MCP06', 'OWASP MCP10'],
    check: (facts) => ofTools(facts, ({ description }) => description.length > 2_000, 'has a very long description'),
  },
]
