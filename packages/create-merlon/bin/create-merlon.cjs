#!/usr/bin/env node
// Written so that very old Node versions can parse it and say what is needed.
if (parseInt(process.versions.node, 10) < 24) {
  console.error('create-merlon: Node.js 24 or newer is needed; this is %s', process.version)
  console.error('create-merlon: hint: install it from https://nodejs.org, then run the same command again')
  process.exit(1)
} else {
  require('../dist/main.js')
}
