import { type Rule, saidByLoader, setting } from '../rule.ts'

const hour = 3_600_000
const mebibyte = 1_048_576

/** How much anybody may ask for. */
export const limitRules: readonly Rule[] = [
  {
    id: 'CA-401',
    title: 'Calls are limited.',
    severity: 'high',
    why: 'Without a limit one program, or one model in a loop, takes the server from everybody.',
    fix: 'Set rateLimit.enabled to true, and raise the maxima where they are too low.',
    source: ['ASVS 5.0 V2.4.1', 'MCP tools'],
    check: saidByLoader('CA-401'),
  },
  {
    id: 'CA-402',
    title: 'A limit is one that can be reached.',
    severity: 'medium',
    why: 'A limit above what the server can answer protects it from nothing.',
    fix: 'Lower callsMax, or make the window longer: a hundred calls a second is much for one.',
    source: ['ASVS 5.0 V2.4.1', 'MCP tools'],
    check: (facts) => {
      const { webSocket, rateLimit } = facts.config
      const { enabled, callsMax, windowMs, rules } = rateLimit
      const tooMany = (limit: { readonly callsMax: number; readonly windowMs: number }) =>
        enabled && (limit.callsMax * 1_000) / limit.windowMs > 100
      return [
        ...setting(facts, 'rateLimit.callsMax', tooMany({ callsMax, windowMs }), 'is more than a hundred a second'),
        ...setting(
          facts,
          'webSocket.callsMax',
          webSocket.enabled && tooMany(webSocket),
          'is more than a hundred messages a second',
        ),
        ...rules.flatMap((rule, at) =>
          setting(
            facts,
            `rateLimit.rules.${at}`,
            // A limit on all together is a ceiling of the machine, not of one.
            tooMany(rule) && !rule.per.includes('everyone'),
            `${rule.name} admits more than a hundred a second`,
          ),
        ),
      ]
    },
  },
  {
    id: 'CA-403',
    title: 'Guessing is limited to few tries.',
    severity: 'high',
    why: 'Each failed authentication is a guess at a credential.',
    fix: 'Lower rateLimit.failuresMax; 10 a minute is the default.',
    source: ['ASVS 5.0 V6.3.1'],
    check: (facts) => {
      const { failuresMax } = facts.config.rateLimit
      return setting(facts, 'rateLimit.failuresMax', failuresMax > 60, `${failuresMax} wrong credentials a minute pass`)
    },
  },
  {
    id: 'CA-404',
    title: 'A message has a sensible size.',
    severity: 'medium',
    why: 'A body is kept in memory while it is read, for every call under way.',
    fix: 'Lower limits.messageBytesMax; 1 MiB is the default.',
    source: ['ASVS 5.0 V15.2.2', 'ASVS 5.0 V2.4.1'],
    check: (facts) => {
      const { messageBytesMax } = facts.config.limits
      return setting(
        facts,
        'limits.messageBytesMax',
        messageBytesMax > 16 * mebibyte,
        `a message may have ${Math.ceil(messageBytesMax / mebibyte)} MiB`,
      )
    },
  },
  {
    id: 'CA-405',
    title: 'A message has a sensible shape.',
    severity: 'medium',
    why: 'Deep and wide structure costs far more to look at than to send.',
    fix: 'Lower limits.jsonDepthMax (64) and limits.jsonNodesMax (100000) towards their defaults.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { jsonDepthMax, jsonNodesMax } = facts.config.limits
      return [
        ...setting(facts, 'limits.jsonDepthMax', jsonDepthMax > 128, `${jsonDepthMax} levels are taken`),
        ...setting(facts, 'limits.jsonNodesMax', jsonNodesMax > 500_000, `${jsonNodesMax} values are taken`),
      ]
    },
  },
  {
    id: 'CA-406',
    title: 'A call ends within ten minutes.',
    severity: 'medium',
    why: 'A call that hangs holds its place, its memory and its connection.',
    fix: 'Lower limits.callTimeoutMs, and give the few long tools a timeoutMs of their own.',
    source: ['MCP tools', 'ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { callTimeoutMs } = facts.config.limits
      return setting(
        facts,
        'limits.callTimeoutMs',
        callTimeoutMs > hour / 6,
        `a call may take ${Math.ceil(callTimeoutMs / 60_000)} minutes`,
      )
    },
  },
  {
    id: 'CA-407',
    title: 'Sessions end within a day.',
    severity: 'medium',
    why: 'A session that was forgotten is a door that was left open.',
    fix: 'Lower session.durationMs (2 hours by default) and session.idleMs (30 minutes).',
    source: ['ASVS 5.0 V7.3.1', 'ASVS 5.0 V7.3.2'],
    check: (facts) => {
      const { enabled, durationMs, idleMs } = facts.config.session
      return [
        ...setting(facts, 'session.durationMs', enabled && durationMs > 24 * hour, 'a session may last beyond a day'),
        ...setting(facts, 'session.idleMs', enabled && idleMs > 8 * hour, 'a session may be idle beyond eight hours'),
      ]
    },
  },
  {
    id: 'CA-408',
    title: 'No one principal can have all sessions.',
    severity: 'medium',
    why: 'Whoever may open all of them locks everybody else out.',
    fix: 'Set session.perPrincipalMax below session.perTenantMax, and that below session.totalMax.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { enabled, perPrincipalMax, perTenantMax, totalMax } = facts.config.session
      return [
        ...setting(
          facts,
          'session.perPrincipalMax',
          enabled && perPrincipalMax >= perTenantMax,
          'one principal may open every session of its tenant',
        ),
        ...setting(
          facts,
          'session.perTenantMax',
          enabled && perTenantMax >= totalMax,
          'one tenant may open every session',
        ),
      ]
    },
  },
  {
    id: 'CA-409',
    title: 'No one address can have all connections.',
    severity: 'medium',
    why: 'One machine would be enough to keep everybody out.',
    fix: 'Set limits.connectionsPerAddressMax well below limits.connectionsMax.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { connectionsMax, connectionsPerAddressMax } = facts.config.limits
      const { trustedProxies } = facts.config.server
      // Behind a proxy every connection comes from its address.
      const bad = trustedProxies.length === 0 && connectionsPerAddressMax * 2 > connectionsMax
      return setting(facts, 'limits.connectionsPerAddressMax', bad, 'one address may hold most connections')
    },
  },
  {
    id: 'CA-410',
    title: 'Slow readers cannot fill the memory.',
    severity: 'medium',
    why: 'A stream that nobody reads is kept in memory up to its buffer, for each that one principal may open.',
    fix: 'Lower limits.streamBufferBytesMax or limits.streamsPerPrincipalMax: together 512 MiB at most.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { streamBufferBytesMax, streamsPerPrincipalMax } = facts.config.limits
      const bad = streamBufferBytesMax * streamsPerPrincipalMax > 512 * mebibyte
      return setting(
        facts,
        'limits.streamBufferBytesMax',
        bad,
        `one principal may hold ${Math.ceil((streamBufferBytesMax * streamsPerPrincipalMax) / mebibyte)} MiB`,
      )
    },
  },
  {
    id: 'CA-411',
    title: 'Event history is kept for a day at most.',
    severity: 'low',
    why: 'What is kept can be taken; a client that was away for long starts again anyway.',
    fix: 'Lower resumability.historyMs; 5 minutes is the default.',
    source: ['ASVS 5.0 V14.2.7'],
    check: (facts) => {
      const { enabled, historyMs } = facts.config.resumability
      return setting(facts, 'resumability.historyMs', enabled && historyMs > 24 * hour, 'events are kept beyond a day')
    },
  },
  {
    id: 'CA-412',
    title: 'One principal has a sensible number of calls under way.',
    severity: 'low',
    why: 'Calls that are under way at once share one processor with those of everybody else.',
    fix: 'Lower limits.callsPerPrincipalMax; 100 is the default.',
    source: ['MCP tools', 'ASVS 5.0 V2.4.1'],
    check: (facts) => {
      const { callsPerPrincipalMax } = facts.config.limits
      return setting(
        facts,
        'limits.callsPerPrincipalMax',
        callsPerPrincipalMax > 1_000,
        `${callsPerPrincipalMax} calls at once`,
      )
    },
  },
  {
    id: 'CA-413',
    title: 'New calls are refused before the server is far behind.',
    severity: 'low',
    why: 'A server that takes calls it cannot answer in time answers nobody.',
    fix: 'Lower limits.eventLoopDelayMsMax; 2000 is the default.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { eventLoopDelayMsMax } = facts.config.limits
      return setting(
        facts,
        'limits.eventLoopDelayMsMax',
        eventLoopDelayMsMax > 30_000,
        'calls are taken while it is half a minute behind',
      )
    },
  },
  {
    id: 'CA-414',
    title: 'Calls that change something are not admitted while nobody counts them.',
    severity: 'medium',
    why: 'While the shared store is out of reach every process counts alone, and together they admit more.',
    fix: 'Set onStoreFailure of the limit to deny.',
    source: ['ASVS 5.0 V16.5.3', 'ASVS 5.0 V16.5.2'],
    check: (facts) => {
      const { enabled, rules } = facts.config.rateLimit
      return rules.flatMap(({ name, scopes, onStoreFailure }, at) =>
        setting(
          facts,
          `rateLimit.rules.${at}`,
          enabled && onStoreFailure !== 'deny' && scopes?.some((scope) => scope !== 'read') === true,
          `${name} is counted by each process alone while the store is out of reach`,
        ),
      )
    },
  },
  {
    id: 'CA-415',
    title: 'Calls that are refused count.',
    severity: 'medium',
    why: 'Where only successes count, guesses and probes are free.',
    fix: 'Set count to all, or add a limit that counts failures.',
    source: ['ASVS 5.0 V6.3.1', 'ASVS 5.0 V2.4.1'],
    check: (facts) => {
      const { enabled, count, rules } = facts.config.rateLimit
      const counted = [count, ...rules.map((rule) => rule.count)]
      const bad = enabled && counted.every((each) => each === 'successes')
      return setting(facts, 'rateLimit.count', bad, 'no limit counts what is refused')
    },
  },
  {
    id: 'CA-416',
    title: 'While the shared store is out of reach, processes together admit no more than the limit.',
    severity: 'medium',
    why: 'Each process then admits its share; shares beyond a half make more than the whole of two.',
    fix: 'Set rateLimit.localShare to one divided by the number of processes.',
    source: ['ASVS 5.0 V16.5.2', 'ASVS 5.0 V2.4.1'],
    check: (facts) => {
      const { rateLimit, store } = facts.config
      const bad = rateLimit.enabled && store.redisUrl !== undefined && rateLimit.localShare > 0.5
      return setting(facts, 'rateLimit.localShare', bad, `is ${rateLimit.localShare}`)
    },
  },
  {
    id: 'CA-417',
    title: 'Processes that share a database share their limits.',
    severity: 'low',
    why: 'Each process that counts by itself admits the whole limit.',
    fix: 'Name a Redis in store.redisUrl; leave it where there is one process alone.',
    source: ['ASVS 5.0 V2.4.1'],
    check: (facts) => {
      const { rateLimit, store } = facts.config
      const bad = rateLimit.enabled && store.databaseUrl !== undefined && store.redisUrl === undefined
      return setting(facts, 'store.redisUrl', bad, 'is not set, and other processes may use the same database')
    },
  },
  {
    id: 'CA-418',
    title: 'Sockets leave room for each other, and for what is no socket.',
    severity: 'medium',
    why: 'A socket keeps its connection for hours: whoever may open all of them locks everybody else out.',
    fix: 'Set webSocket.perPrincipalMax well below webSocket.totalMax, and that well below limits.connectionsMax.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) => {
      const { limits, webSocket } = facts.config
      const { enabled, perPrincipalMax, totalMax } = webSocket
      return [
        ...setting(
          facts,
          'webSocket.perPrincipalMax',
          enabled && perPrincipalMax * 2 > totalMax,
          'one principal may hold most sockets',
        ),
        ...setting(
          facts,
          'webSocket.totalMax',
          enabled && totalMax * 2 > limits.connectionsMax,
          'sockets may be most connections',
        ),
      ]
    },
  },
  {
    id: 'CA-421',
    title: 'Each limit has a name of its own.',
    severity: 'fatal',
    why: 'Two limits with one name would be counted as one.',
    fix: 'Give it another name.',
    source: ['ASVS 5.0 V2.4.1'],
    check: saidByLoader('CA-421'),
  },
  {
    id: 'CA-422',
    title: 'A limit is counted in whole numbers.',
    severity: 'fatal',
    why: 'A count that is rounded admits what it should not.',
    fix: 'Shorten the window and lower the number with it.',
    source: ['ASVS 5.0 V2.4.1'],
    check: saidByLoader('CA-422'),
  },
  {
    id: 'CA-423',
    title: 'A limit names scopes that exist, and can hold what a call costs it.',
    severity: 'fatal',
    why: 'A limit on a scope that is misspelt limits nothing, and its author believes that it does.',
    fix: 'Mend the name or declare the scope; lower the cost or raise burst.',
    source: ['ASVS 5.0 V2.4.1', 'ASVS 5.0 V16.5.3'],
    check: saidByLoader('CA-423'),
  },
]
