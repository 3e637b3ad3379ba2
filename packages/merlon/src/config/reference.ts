import { fileSuffix, plainNames, secretNames } from './environment.ts'
import { configJsonSchema, type Setting, settings } from './settings.ts'

/** The JSON Schema of merlon.config.json as the file that editors read. */
export function configSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}

/** The page that lists every setting. */
export function configurationPage(): string {
  const sections = new Map<string, Setting[]>()
  for (const setting of settings) {
    const section = setting.segments.length === 1 ? '' : setting.segments[0]!
    sections.set(section, [...(sections.get(section) ?? []), setting])
  }
  return `${[
    '# Configuration reference',
    '',
    '<!-- Printed by `node scripts/reference.ts` from packages/merlon/src/config/schema.ts. Change the schema, not this page. -->',
    '',
    'Settings are read from `merlon.config.json` in the project folder and from the environment, the environment over the',
    'file. Every setting has a default. A list that is absent has its default; an empty list denies. An unknown setting is',
    'an error. How to work with this: [the guide](../guide/configuration.md).',
    '',
    ...[...sections].flatMap(([name, rows]) => [
      `## ${name === '' ? 'Top level' : `\`${name}\``}`,
      '',
      '| setting | takes | default | what it does | environment |',
      '| --- | --- | --- | --- | --- |',
      ...rows.map(settingRow),
      '',
    ]),
    '## Names in the environment',
    '',
    'Each setting above can be given as the name in its last column. Lists are separated by commas, and an empty text is',
    'the empty list. `.env` in the project folder is read too, under the real environment. These plain names are understood',
    'as well:',
    '',
    '| name | setting |',
    '| --- | --- |',
    ...[...plainNames].map(([name, path]) => `| \`${name}\` | \`${path}\`; yields to \`${environmentOf(path)}\` |`),
    ...[...secretNames].map(
      ([name, path]) => `| \`${name}\` | the secret that \`${path}\` refers to where the file names no other |`,
    ),
    ...[...secretNames].map(
      ([name, path]) =>
        `| \`${name}${fileSuffix}\` | the path of a file with it, instead: \`${path}\` is \`file:\` and that path |`,
    ),
  ].join('\n')}\n`
}

function settingRow({ path, takes, fallback, description, environment }: Setting): string {
  const shown = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``
  const name = environment === undefined ? 'file only' : `\`${environment}\``
  return `| \`${path}\` | ${takes} | ${shown} | ${cell(description)} | ${name} |`
}

function environmentOf(path: string): string {
  return settings.find((setting) => setting.path === path)?.environment ?? ''
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
