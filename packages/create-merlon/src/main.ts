import { parseArgs } from 'node:util'
import { createProject, Refusal } from './create.ts'

const usage = `Usage: npm create merlon [folder] [-- --merlon <version or file:path>]

Makes a new Merlon project in the folder (default: secure-agent).
--merlon  the merlon to depend on, instead of the one of this release`

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { merlon: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    console.log(usage)
  } else if (positionals.length > 1) {
    throw new Refusal('one folder at a time', 'name one folder, as in `npm create merlon my-agent`', 2)
  } else {
    const folder = positionals[0] ?? 'secure-agent'
    createProject({ folder, from: process.cwd(), merlon: values.merlon })
    console.log(`Made ${folder}. Next:\n\n  cd ${folder}\n  npm install\n  npm run dev`)
  }
} catch (error) {
  if (error instanceof Refusal) {
    console.error(`create-merlon: ${error.message}`)
    console.error(`create-merlon: hint: ${error.hint}`)
    process.exitCode = error.exitCode
  } else if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
    console.error(`create-merlon: ${error.message}`)
    console.error('create-merlon: hint: `npm create merlon -- --help` shows what can be said')
    process.exitCode = 2
  } else {
    throw error
  }
}
