import { processContext } from './cli/context.ts'
import { run } from './cli/program.ts'

/** The entry of the command line. bin/merlon.cjs starts it once the Node.js is known to be new enough. */
void run(process.argv.slice(2), processContext()).then((exitCode) => {
  process.exitCode = exitCode
  // Whatever is still open, such as a connection that does not close, may not keep a finished command alive.
  setTimeout(() => process.exit(), 1_000).unref()
})
