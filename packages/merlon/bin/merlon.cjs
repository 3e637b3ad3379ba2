#!/usr/bin/env node
// Written so that a Node.js of any age can parse it, to say in words what it is too old for. Hence no strict mode either:
// in strict mode the oldest do not know `const`.

const oldest = 24

if (Number(process.versions.node.split('.')[0]) < oldest) {
  const found = ['this is Node.js', process.versions.node, 'and merlon needs', oldest, 'or later'].join(' ')
  process.stderr.write(['merlon: ', found, '\n'].join(''))
  process.stderr.write('merlon: hint: install it from https://nodejs.org, then run the same command again\n')
  process.exit(1)
}

const main = require('node:path').join(__dirname, '..', 'dist', 'main.js')
if (!require('node:fs').existsSync(main)) {
  process.stderr.write('merlon: it has not been built\nmerlon: hint: npm run build\n')
  process.exit(1)
}
// Compiled code is kept beside the code that it is of, where nobody else may write, so that a start takes less. Where this
// process may not write, it is compiled at each start.
const compiled = require('node:path').join(__dirname, '..', '.compiled')
try {
  require('node:fs').mkdirSync(compiled, { mode: 0o700 })
} catch (_error) {
  // It is there, or cannot be.
}
require('node:module').enableCompileCache(compiled)
require(main)
