import { defineConfig } from 'vitest/config'

/** `beside`: tests beside the code. `whole`: the built server over real sockets; `npm test` builds before it. */
export default defineConfig({
  test: {
    globalSetup: ['test/services.ts'],
    // A busy machine is no failure: what is waited for is given time, and what never comes fails all the same.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'beside',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/*.test.ts', 'bench/*.test.ts', 'scripts/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
