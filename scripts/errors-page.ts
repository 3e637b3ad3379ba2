import { type ErrorSpec, errors } from '../packages/merlon/src/errors.ts'

const blames = { caller: 'the caller', server: 'the server', upstream: 'the upstream' } as const

/** The page that lists every refusal and failure, printed from the table in errors.ts. */
export function errorsPage(): string {
  const rows: readonly (readonly [string, ErrorSpec])[] = Object.entries(errors)
  return `${[
    '# Errors',
    '',
    '<!-- Printed by `node scripts/reference.ts` from packages/merlon/src/errors.ts. Change the table, not this page. -->',
    '',
    'A refusal before dispatch uses its HTTP status. A fault after dispatch travels inside the JSON-RPC answer. Numbers from',
    '-32768 to -32000 have the meaning that JSON-RPC 2.0 and MCP give them; the others are ours. A program switches on the',
    'code.',
    '',
    '| error | HTTP | JSON-RPC | code | says | what to do | on whose side | retry |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      ([name, { http, rpc, code, blame, retry, says, fix }]) =>
        `| \`${name}\` | ${http} | ${rpc} | \`${code}\` | ${says} | ${fix} | ${blames[blame]} | ${retry ? 'yes' : 'no'} |`,
    ),
  ].join('\n')}\n`
}
