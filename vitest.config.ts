import { defineConfig } from 'vitest/config'

/** `beside`: tests beside the code. `whole`: the built server over real sockets; `npm test` builds before it. */
export default defineConfig({
  test: {
    globalSetup: ['test/services.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'beside',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/*.test.ts', 'bench/*.test.ts', 'scripts/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
