import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const stamp = 'merlon-fresh'
let imports = 0
let hooked = false

/**
 * Imports a group of files. Files of a fresh group are evaluated anew, and so is every file of the project that they
 * import, once for the group; packages are not. What an earlier group loaded stays in memory until the process ends, as
 * modules do: this is for development.
 */
export function moduleImporter(fresh: boolean): (file: string) => Promise<Readonly<Record<string, unknown>>> {
  if (!fresh) return (file) => import(pathToFileURL(file).href)
  hook()
  const group = String(++imports)
  return (file) => import(stamped(pathToFileURL(file).href, group))
}

/**
 * A stamped module hands its stamp on to what it imports by a relative or `#` name. Stamping a file by its own time would
 * not do: a file that did not change keeps the old one of a file that did.
 */
function hook(): void {
  if (hooked) return
  hooked = true
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context)
      const group = context.parentURL === undefined ? null : stampOf(context.parentURL)
      if (group === null || !/^(?:\.{0,2}\/|#)/.test(specifier)) return resolved
      if (!resolved.url.startsWith('file:') || resolved.url.includes('/node_modules/')) return resolved
      // CommonJS knows files by path alone.
      if (context.conditions?.includes('require')) return resolved
      return { ...resolved, url: stamped(resolved.url, group) }
    },
  })
}

function stampOf(url: string): string | null {
  return url.includes(stamp) ? new URL(url).searchParams.get(stamp) : null
}

function stamped(url: string, group: string): string {
  const parsed = new URL(url)
  parsed.searchParams.set(stamp, group)
  return parsed.href
}
