/**
 * What this release answers for, in our own words. A test cites an id at the start of its name, `AU-03: …`, and a row of
 * the attack table lists what it holds; a promise that no test cites, and a test that cites what is not here, fail by name.
 */
export interface Requirement {
  readonly promise: string
  /** Where the demand comes from. */
  readonly source: string
}

export const requirements = {
  // The contract of status codes
  'CO-01': {
    promise: 'A host that is not served is 403, a malformed one 400; its value is not repeated.',
    source: 'MCP 2026-07-28, Streamable HTTP, "Security Warning"; RFC 9112 §3.2',
  },
  'CO-02': {
    promise: 'A page that is not on the list is 403, without CORS headers.',
    source: 'MCP, Streamable HTTP, "Security Warning"',
  },
  'CO-03': {
    promise: 'No credential is 401, and so is every bad one, with one body for all of them and a challenge.',
    source: 'RFC 6750 §3; RFC 9728 §5.1',
  },
  'CO-04': { promise: 'Two credentials in one request are 400.', source: 'RFC 6750 §2, §3.1' },
  'CO-05': {
    promise: 'A credential in the query is as if it were absent, and recorded.',
    source: 'MCP authorization, "Token Requirements"',
  },
  'CO-06': { promise: 'A missing scope is 403 with a challenge that names it.', source: 'RFC 6750 §3.1' },
  'CO-07': {
    promise: 'An unknown, ended, expired or foreign session is 404, byte for byte the same.',
    source: 'MCP 2025-11-25, "Session Management"',
  },
  'CO-08': {
    promise: 'A call that needs a session and names none is 400.',
    source: 'MCP 2025-11-25, "Session Management"',
  },
  'CO-09': {
    promise: 'A second reader of a stream is 409 and the first is not touched.',
    source: 'MCP 2025-11-25, "Listening for Messages"',
  },
  'CO-10': { promise: 'A method that is not served is 405 with Allow.', source: 'RFC 9110 §15.5.6' },
  'CO-11': {
    promise: 'An unsuitable Accept is 406; another media type or an encoding is 415.',
    source: 'RFC 9110 §15.5.7, §15.5.16',
  },
  'CO-12': {
    promise: 'A body, a head or a target beyond its limit is 413, 431 or 414, and the connection closes.',
    source: 'RFC 9110 §15.5.14; RFC 6585 §5',
  },
  'CO-13': {
    promise: 'What is not JSON in UTF-8, or says a key twice, is 400.',
    source: 'JSON-RPC 2.0 §5.1; RFC 8259 §4',
  },
  'CO-14': {
    promise: 'What is too deep, too wide, a batch or not a request is 400 with -32600.',
    source: 'JSON-RPC 2.0 §5.1',
  },
  'CO-15': {
    promise:
      'In 2026-07-28 a header that differs is -32020, an unknown version -32022, an unknown method 404, a missing capability -32021.',
    source: 'MCP 2026-07-28, Streamable HTTP, "Server Validation"',
  },
  'CO-16': {
    promise: 'A rate that is exceeded is 429 with Retry-After, RateLimit and RateLimit-Policy.',
    source: 'RFC 6585 §4; draft-ietf-httpapi-ratelimit-headers',
  },
  'CO-17': {
    promise: 'A cap that is reached is 503 with Retry-After, and nothing is admitted.',
    source: 'RFC 9110 §15.6.4',
  },

  // Transport
  'TR-01': {
    promise: 'It listens on loopback unless it speaks TLS or a TLS-terminating proxy is named.',
    source: 'MCP, Streamable HTTP, "Security Warning"',
  },
  'TR-02': {
    promise:
      'TLS 1.2 and up, without renegotiation, resumption or a weak cipher; a key that others can read stops the start; a renewal drops no stream; a client certificate that is demanded is checked before anything is read.',
    source: 'OWASP ASVS 5.0 V12.1',
  },
  'TR-03': {
    promise: 'Plain HTTP on a port that speaks TLS is closed, and not sent elsewhere.',
    source: 'OWASP ASVS 5.0 V4.1.2',
  },
  'TR-04': {
    promise: 'A request whose framing is ambiguous is refused and the connection closed.',
    source: 'RFC 9112 §6.3, §11.2',
  },
  'TR-05': {
    promise: 'Every header line is seen by the guards; more than 100 are refused.',
    source: 'OWASP ASVS 5.0 V4.1.3',
  },
  'TR-06': { promise: 'A header that decides something may be said once.', source: 'OWASP ASVS 5.0 V15.3.7' },
  'TR-07': {
    promise:
      'Only plain paths are served: no absolute target, no tunnel, no request without a host, and no upgrade but to a socket where those are served.',
    source: 'OWASP ASVS 5.0 V4.1.4, V13.4.4',
  },
  'TR-08': { promise: 'Trailers decide nothing, and chunk extensions are bounded.', source: 'RFC 9110 §6.5.1' },
  'TR-09': {
    promise: 'Every route names what a caller must show; there is none without.',
    source: 'OWASP ASVS 5.0 V8.2.1',
  },
  'TR-10': {
    promise: 'A path is matched as it is sent; another spelling reaches nothing.',
    source: 'OWASP ASVS 5.0 V8.2.1',
  },
  'TR-11': { promise: 'A POST says plainly that it is JSON.', source: 'OWASP ASVS 5.0 V3.5.2' },
  'TR-12': { promise: 'A body is UTF-8 without a byte order mark.', source: 'RFC 8259 §8.1' },
  'TR-13': { promise: 'One message in one POST.', source: 'MCP 2025-11-25, "Sending Messages"' },
  'TR-14': {
    promise: 'Envelope keys are exact, and no key is said twice anywhere.',
    source: 'JSON-RPC 2.0 §4; RFC 8259 §4',
  },
  'TR-15': {
    promise: 'An id is a string or a safe integer, and is not used twice at once.',
    source: 'MCP 2026-07-28, basic, "Requests"',
  },
  'TR-16': { promise: 'Names that every object has are names like any other.', source: 'OWASP ASVS 5.0 V15.3.6' },
  'TR-17': {
    promise: 'In 2026-07-28 the mirrored headers equal the body, and only the body decides.',
    source: 'MCP 2026-07-28, Streamable HTTP, "Server Validation"',
  },
  'TR-18': { promise: 'A token has one spelling.', source: 'RFC 4648 §3.5' },
  'TR-19': {
    promise: '2026-07-28 has no session: its headers are ignored, and GET and DELETE of it are refused.',
    source: 'MCP 2026-07-28, Streamable HTTP',
  },
  'TR-20': { promise: 'An older revision, or none, is checked no less.', source: 'MCP 2026-07-28, Streamable HTTP' },
  'TR-21': {
    promise: 'Leaving a call of 2026-07-28 cancels it.',
    source: 'MCP 2026-07-28, Streamable HTTP, "Cancellation"',
  },
  'TR-22': {
    promise: "Clients that use the same ids at once never get each other's answers.",
    source: 'OWASP API Security Top 10 2023, API1',
  },
  'TR-23': {
    promise: 'Every answer says its type, is not kept and does not say what served it.',
    source: 'OWASP ASVS 5.0 V3.4, V14.3.2',
  },
  'TR-24': { promise: 'What a client says begins no header and no second event.', source: 'WHATWG HTML §9.2' },
  'TR-25': {
    promise: 'Nothing of a body is read before it is known who sends it and that they may send now.',
    source: 'OWASP ASVS 5.0 V2.4.1',
  },

  // Origin, host, CORS
  'OH-01': {
    promise: 'Host is compared as a whole with a list, never through a URL parser.',
    source: 'MCP, Streamable HTTP, "Security Warning"',
  },
  'OH-02': {
    promise: 'Origin is compared as a whole with a list, on every path and method, before authentication.',
    source: 'MCP, Streamable HTTP, "Security Warning"',
  },
  'OH-03': { promise: 'null, other schemes and look-alikes are on no list.', source: 'RFC 6454 §7' },
  'OH-04': {
    promise: 'The checks cannot be off on loopback, elsewhere only by a dangerous name; an empty list denies.',
    source: 'MCP, Streamable HTTP, "Security Warning"',
  },
  'OH-05': {
    promise: 'CORS names only listed origins, always varies by it and never offers credentials.',
    source: 'Fetch §3.2',
  },
  'OH-06': {
    promise: 'A preflight needs no credential, runs no handler and is kept two hours at most.',
    source: 'Fetch §3.2.2',
  },
  'OH-07': { promise: 'Forwarding headers count only from a named proxy.', source: 'OWASP ASVS 5.0 V15.3.4' },
  'OH-08': {
    promise: 'A browser that says it comes from another site changes nothing here.',
    source: 'OWASP ASVS 5.0 V3.5.3',
  },

  // API keys
  'AK-01': {
    promise: 'A key carries a checksum; one that cannot be a key is refused without asking the store.',
    source: 'OWASP ASVS 5.0 V11.5.1',
  },
  'AK-02': {
    promise: 'The store holds keyed digests, and nothing that works as a key.',
    source: 'OWASP ASVS 5.0 V6.5.2',
  },
  'AK-03': { promise: 'A key is shown once.', source: 'OWASP ASVS 5.0 V14.2.6' },
  'AK-04': { promise: 'An unknown id and a wrong secret are one answer.', source: 'OWASP ASVS 5.0 V6.3.8' },
  'AK-05': {
    promise: 'A key is read from Authorization or X-API-Key, and from nowhere else.',
    source: 'OWASP ASVS 5.0 V14.2.1',
  },
  'AK-06': { promise: 'Every key ends; no lifetime reads as forever.', source: 'OWASP MCP Top 10, MCP01' },
  'AK-07': {
    promise: 'A revoked or expired key is refused at once and its streams close.',
    source: 'OWASP ASVS 5.0 V7.4.1, V8.3.2',
  },
  'AK-08': {
    promise: "A credential does what it, its owner's role and its tenant all allow.",
    source: 'OWASP ASVS 5.0 V8.3.3',
  },
  'AK-09': {
    promise: 'Nobody makes a key with more than they hold, or for another tenant.',
    source: 'OWASP API Security Top 10 2023, API3',
  },
  'AK-10': {
    promise: 'A replaced secret is good for its grace; shown later, the record says so.',
    source: 'OWASP ASVS 5.0 V13.3.4',
  },
  'AK-11': {
    promise: 'No key comes with the software; the first one is random and lives an hour.',
    source: 'OWASP ASVS 5.0 V6.3.2',
  },
  'AK-12': { promise: 'Noting the last use never brings back a revoked key.', source: 'OWASP ASVS 5.0 V15.4.2' },

  'AK-13': {
    promise: 'A key may be bound to address ranges; an empty list is nowhere.',
    source: 'CVE-2026-33032',
  },
  'AK-14': {
    promise: 'A key that leaked is told from chance by its pattern and its checksum.',
    source: 'GitHub, "Secret scanning partner program"',
  },

  'RS-01': {
    promise:
      'A token is signed with a key pair, in a way its issuer may use; unsigned tokens and shared secrets are refused.',
    source: 'RFC 8725 §3.1, §3.2',
  },
  'RS-02': {
    promise: 'A token is taken only from a configured issuer and for exactly this resource.',
    source: 'RFC 8707 §2; RFC 9068 §4',
  },
  'RS-03': {
    promise: 'A token ends, has begun, and lives no longer than it may.',
    source: 'RFC 7519 §4.1.4-6; RFC 9068 §4',
  },
  'RS-04': {
    promise: 'What was signed for another purpose is no access token.',
    source: 'RFC 8725 §3.11; RFC 9068 §4',
  },
  'RS-05': {
    promise:
      'A token does not say where its key is; its kid chooses within the key set of its issuer and nowhere else.',
    source: 'RFC 8725 §3.10',
  },
  'RS-06': {
    promise:
      'Key sets are read from the configured place alone, bounded, cached, and not again and again; an outage is no bad token.',
    source: 'OWASP ASVS 5.0 V10.3; RFC 8725 §3.10',
  },
  'RS-07': {
    promise:
      'A subject is its issuer and its name there, in the tenant that the configured claim says; without one it is 403.',
    source: 'RFC 9068 §5; OWASP ASVS 5.0 V10.3.3',
  },
  'RS-08': {
    promise: 'A token may do what its scopes say, its role grants and its issuer may give, and no more.',
    source: 'MCP, Security Best Practices, "Scope Minimization"',
  },
  'RS-09': {
    promise: 'A token has one spelling: three parts, canonical, small, without a repeated member.',
    source: 'RFC 8725 §3; RFC 7515 §3.1',
  },
  'RS-10': {
    promise: 'Refusals say where to learn more, and the metadata comes from the configuration, never from a request.',
    source: 'RFC 9728 §3, §5.1; RFC 6750 §3',
  },
  'RS-11': {
    promise: 'What a token consists of is told nowhere: not to others, not in a record, a log or an answer.',
    source: 'MCP authorization, "Access Token Privilege Restriction"',
  },
  'RS-12': {
    promise:
      'A token is good until it ends, and no longer; whom it speaks for is refused at once, whoever issued it. One that its issuer alone can read is good for half a minute after each yes of the issuer, what goes on with it included; a no, an outage or a doubt is never a yes.',
    source: 'OWASP ASVS 5.0 V7.4.1, V8.3.2; RFC 7662 §2.2, §4',
  },
  'RS-13': {
    promise:
      'A token that is bound to a key is good with a proof for this request alone, once; bound to a client certificate, over a connection that has shown it.',
    source: 'RFC 9449 §7.1, §11.1; RFC 8705 §3',
  },
  'RS-14': {
    promise: 'A challenge for more names the scope of this call and no other.',
    source: 'MCP authorization, "Scope Challenge Handling"',
  },
  'AS-14': {
    promise:
      'Keys that sign tokens are published before they sign and kept until what they signed has ended; the key set holds public parts alone.',
    source: 'OWASP ASVS 5.0 V11.1.1',
  },
  'AD-01': {
    promise: 'What opens the MCP endpoint opens nothing at the control plane, and the other way round.',
    source: 'OWASP ASVS 5.0 V8.4.2',
  },
  'AD-03': {
    promise: 'Nothing that a browser sends by itself is a credential, and what changes something is asked for in JSON.',
    source: 'OWASP ASVS 5.0 V3.5.1, V3.5.2',
  },
  'AD-04': {
    promise: 'Each sign-in is another, and one that was ended is good for nothing.',
    source: 'OWASP ASVS 5.0 V7.2.4, V7.4.1',
  },
  'AD-05': {
    promise: 'Guesses at passwords are limited and learn nothing, and keep no owner out.',
    source: 'OWASP ASVS 5.0 V6.3.1, V6.3.8',
  },
  'AD-06': {
    promise:
      'A second factor is asked for where it is on, its codes are good once, and keys, roles and exports ask for it again.',
    source: 'RFC 6238; OWASP ASVS 5.0 V6.3.3, V6.5.1, V7.5.3',
  },
  'AD-09': {
    promise: 'An export as CSV holds no formula and no control character.',
    source: 'OWASP ASVS 5.0 V1.2.10',
  },
  'AD-10': {
    promise:
      'The control plane refuses in one shape, which tells nothing of what is inside; what counts or describes asks for a credential.',
    source: 'RFC 9457; OWASP ASVS 5.0 V16.5.1, V13.4.5',
  },
  'AD-11': {
    promise: 'A command takes a secret from a file that is private, the environment or a person, and prints none.',
    source: 'OWASP ASVS 5.0 V13.3.1',
  },
  'AD-12': {
    promise: 'A change names the version it changes; what is made under one name is made once.',
    source: 'OWASP ASVS 5.0 V15.4.2; RFC 9110 §13.1.1',
  },

  // Who may do what
  'AU-01': { promise: 'What is not granted is denied; an empty role may do nothing.', source: 'OWASP ASVS 5.0 V8.2.1' },
  'AU-02': {
    promise: 'Every method of every revision asks the one decision point, and is recorded.',
    source: 'OWASP ASVS 5.0 V8.3.1',
  },
  'AU-03': {
    promise: 'What a role can never reach is, everywhere, like what does not exist.',
    source: 'MCP, "Tools", security considerations',
  },
  'AU-04': { promise: 'The tenant comes from the credential alone.', source: 'OWASP ASVS 5.0 V8.4.1' },
  'AU-05': {
    promise: 'What belongs to another tenant is like what does not exist.',
    source: 'OWASP API Security Top 10 2023, API1',
  },
  'AU-06': {
    promise: 'Cursors and states cannot be made up, changed, or used by another principal or for another method.',
    source: 'MCP 2026-07-28, "Multi Round-Trip Requests"',
  },
  'AU-07': {
    promise: 'A requestState is sealed for principal, method and parameters, and ends.',
    source: 'MCP 2026-07-28, "Multi Round-Trip Requests"',
  },
  'AU-08': { promise: 'What differs between callers is private to the caller.', source: 'MCP 2026-07-28, "Caching"' },
  'AU-09': {
    promise: 'A change of rights holds for the next request and for streams that are open.',
    source: 'OWASP ASVS 5.0 V8.3.2',
  },
  'AU-10': {
    promise: 'Nobody changes what decides their own rights.',
    source: 'OWASP ASVS 5.0 V15.3.3; OWASP API Security 2023, API3',
  },
  'AU-11': {
    promise: 'Only operators make operators or act on one, and the last of them stays.',
    source: 'OWASP MCP Top 10, MCP02',
  },
  'AU-13': {
    promise: 'Arguments fit their schema before a handler runs.',
    source: 'MCP, "Tools", security considerations',
  },
  'AU-14': { promise: 'A resource URI cannot leave its place.', source: 'MCP, "Resources", security considerations' },
  'AU-15': { promise: 'Matching a URI takes time linear in it.', source: 'OWASP ASVS 5.0 V1.3.12' },

  // Limits
  'RL-01': {
    promise: 'A limit admits exactly what it says, also of calls that come at once.',
    source: 'OWASP ASVS 5.0 V15.4.2',
  },
  'RL-02': {
    promise:
      'While a shared store of limits is out of reach nothing is without a limit: it is refused, or held to a part of it.',
    source: 'OWASP ASVS 5.0 V16.5.3',
  },
  'RL-03': {
    promise: 'What is counted by address takes an IPv6 /64 for one, and no text of a stranger makes a bucket.',
    source: 'OWASP ASVS 5.0 V6.3.1',
  },
  'RL-04': {
    promise:
      'Failed authentications count by address and key, and the wait between them doubles; a good key from there still passes.',
    source: 'OWASP ASVS 5.0 V6.1.1',
  },
  'RL-05': {
    promise: 'Who is refused for a limit is told how long to wait.',
    source: 'draft-ietf-httpapi-ratelimit-headers',
  },
  'RL-06': {
    promise:
      'A tool costs what it says. A principal, a tenant and a tool have a bounded number of calls under way; one more is 503 and not begun.',
    source: 'OWASP ASVS 5.0 V15.4.4',
  },
  'RL-07': {
    promise: 'A head that does not arrive in 10 s, and a request that does not in 30 s, is over.',
    source: 'OWASP ASVS 5.0 V15.2.2',
  },
  'RL-08': {
    promise: 'Connections are bounded in all, by address, and in what waits on one.',
    source: 'OWASP ASVS 5.0 V15.2.2',
  },
  'RL-09': { promise: 'A head has 16 KiB at most, a target 4 KiB.', source: 'RFC 6585 §5' },
  'RL-10': { promise: 'A body is counted while it comes, whatever length it claims.', source: 'OWASP ASVS 5.0 V2.4.1' },
  'RL-11': {
    promise: 'Depth and number of values are bounded before objects are made.',
    source: 'OWASP ASVS 5.0 V1.5.3',
  },
  'RL-12': { promise: 'A compressed request is refused.', source: 'RFC 9110 §15.5.16' },
  'RL-13': {
    promise: 'An answer to a credential is not compressed unless that is asked for by name, and a stream never is.',
    source: 'OWASP ASVS 5.0 V3.4',
  },
  'RL-14': {
    promise: 'A reader that takes nothing costs a bounded buffer, and is closed.',
    source: 'OWASP ASVS 5.0 V15.2.2',
  },
  'RL-15': {
    promise: 'When the event loop falls behind, new calls are refused with 503; health answers.',
    source: 'OWASP ASVS 5.0 V15.2.2',
  },
  'RL-16': {
    promise: 'A small request does not earn an answer that is a multiple of it by what it says itself.',
    source: 'OWASP API Security Top 10 2023, API4',
  },
  'RL-17': {
    promise: 'Nothing that a client can add to grows without bound.',
    source: 'OWASP API Security Top 10 2023, API4',
  },
  'RL-18': { promise: 'A page of a list has the size that the server says.', source: 'MCP, "Pagination"' },
  'RL-19': {
    promise: 'No input ends the process or leaves a failure that nobody caught.',
    source: 'OWASP ASVS 5.0 V16.5.4',
  },

  // Configuration
  'SC-01': {
    promise: 'A secret is referred to, never written into the configuration.',
    source: 'OWASP ASVS 5.0 V13.3.1',
  },
  'SC-02': {
    promise:
      'Settings, files, keys, tools and the process are held to rules with a source each; what is fatal keeps it from starting.',
    source: 'OWASP ASVS 5.0 V13; OWASP MCP Top 10 2025, MCP09',
  },
  'SC-03': { promise: 'An unknown setting, or a value out of range, stops the start.', source: 'OWASP ASVS 5.0 V13' },
  'SC-05': {
    promise: 'A start with an option that opens the memory, the traffic or the trust of the process is refused.',
    source: 'OWASP ASVS 5.0 V13.4.2',
  },
  'SU-05': {
    promise:
      'The image is built in stages from pinned bases, runs as no root on a file system it cannot write, holds no shell and no secret, and says itself whether it is well.',
    source: 'OWASP Docker Security Cheat Sheet; OWASP NodeJS Docker Cheat Sheet',
  },
  'SU-06': {
    promise: 'What is served holds no test, no source and no source map of ours.',
    source: 'OWASP ASVS 5.0 V15.2.3',
  },
  'SC-06': { promise: 'A list that is absent has its default; an empty one denies.', source: 'CVE-2026-33032' },

  // Sessions of the stateful revisions
  'SE-01': {
    promise: 'The server alone makes session ids, of 256 random bits.',
    source: 'MCP 2025-11-25, "Session Management"',
  },
  'SE-02': {
    promise: 'A session id is not a credential.',
    source: 'MCP 2025-11-25, security best practices, "Session Hijacking"',
  },
  'SE-03': {
    promise: 'A session belongs to the principal and credential that opened it.',
    source: 'MCP 2025-11-25, security best practices, "Session Hijacking"',
  },
  'SE-04': {
    promise: 'Another key of the same user is another principal to a session; each request has its own rights.',
    source: 'OWASP ASVS 5.0 V7.5',
  },
  'SE-05': {
    promise: 'A session that is ended, idle too long or too old is gone when it is asked for, and after a restart.',
    source: 'OWASP ASVS 5.0 V7.3',
  },
  'SE-06': {
    promise: 'Sessions are capped for each principal, tenant and in all; those that are open stay.',
    source: 'OWASP API Security Top 10 2023, API4',
  },
  'SE-07': {
    promise: 'Nothing is kept for whoever shows no credential.',
    source: 'OWASP API Security Top 10 2023, API4',
  },
  'SE-08': {
    promise: 'What is kept of sessions is sealed; neither an id nor what a client said of itself is readable at rest.',
    source: 'MCP 2025-11-25, "Session Hijacking"; OWASP ASVS 5.0 V14.2.7',
  },
  'SE-09': { promise: 'A session id is in no log, record or address.', source: 'OWASP ASVS 5.0 V14.2.1, V16.2.5' },
  'SE-10': { promise: 'Only its owner ends a session.', source: 'OWASP ASVS 5.0 V7.4.5' },
  'SE-11': {
    promise: 'A second stream neither replaces the first nor hears what it hears.',
    source: 'MCP 2025-11-25, "Multiple Connections"',
  },
  'SE-12': { promise: 'The revision that was negotiated stays.', source: 'MCP 2025-11-25, "Protocol Version Header"' },
  'SE-13': {
    promise: "A question is answered by the session's owner, once, while it is open.",
    source: 'MCP 2025-11-25, "Sending Messages"',
  },

  // Event history
  'EV-01': {
    promise: 'An event id that was altered, made up or belongs elsewhere gives nothing.',
    source: 'MCP 2025-11-25, "Resumability and Redelivery"',
  },
  'EV-02': {
    promise: 'A resume gives events of the same stream only.',
    source: 'MCP 2025-11-25, "Resumability and Redelivery"',
  },
  'EV-03': { promise: 'Whoever may call no more gets no replay.', source: 'OWASP ASVS 5.0 V8.3.2' },
  'EV-04': {
    promise: 'However often a reader is lost, it gets every event once.',
    source: 'MCP 2025-11-25, "Resumability and Redelivery"',
  },
  'EV-05': {
    promise: 'History that is gone is an error, not a silent gap.',
    source: 'MCP 2025-11-25, "Resumability and Redelivery"',
  },
  'EV-07': {
    promise: 'A message is in the history before it is sent.',
    source: 'MCP 2025-11-25, "Resumability and Redelivery"',
  },
  'EV-08': { promise: 'The end of a session is the end of its history.', source: 'OWASP ASVS 5.0 V14.2.7' },
  'EV-06': {
    promise: 'A stored event that was altered, moved or swapped is not delivered, and is told.',
    source: 'OWASP ASVS 5.0 V11.3.3',
  },
  'EV-09': {
    promise: 'Of two readers who resume at once, one gets the stream.',
    source: 'MCP 2025-11-25, "Multiple Connections"',
  },
  'EV-10': { promise: '2026-07-28 gives no way into history.', source: 'MCP 2026-07-28, Streamable HTTP' },

  // Records
  'AL-01': {
    promise: 'Every decision leaves a record: who, from where, what, and how it ended.',
    source: 'OWASP ASVS 5.0 V16.2.1, V16.3.1',
  },
  'AL-02': {
    promise:
      'A record that was edited, removed, put in, moved or cut off is found, and so is a log that was forked, replaced or written anew.',
    source: 'RFC 6962 §2.1; OWASP ASVS 5.0 V16.4.2',
  },
  'AL-03': {
    promise: 'A change is on record before it is acknowledged; what cannot be recorded is not done.',
    source: 'OWASP ASVS 5.0 V16.5.3',
  },
  'AL-04': {
    promise: 'No key, session id, argument or result is in a log or a record.',
    source: 'OWASP ASVS 5.0 V16.2.5',
  },
  'AL-05': {
    promise: 'What a client says makes no second line, and nothing that a terminal acts on.',
    source: 'OWASP ASVS 5.0 V16.4.1',
  },
  'AL-06': {
    promise:
      'Records are read by their tenant alone, and removed by retention alone: whole files, the oldest, and it is said.',
    source: 'OWASP ASVS 5.0 V16.4.2',
  },
  'AL-07': {
    promise: 'Refusals of callers who showed nothing cannot fill the disk: beyond a bound they are counted, exactly.',
    source: 'OWASP ASVS 5.0 V16.3',
  },
  'AL-08': {
    promise: 'The order of records does not depend on the clock.',
    source: 'OWASP ASVS 5.0 V16.2.2',
  },
  'AL-09': {
    promise: 'The trace that a caller names is passed on where it is well-formed, and decides nothing.',
    source: 'W3C Trace Context; OWASP ASVS 5.0 V16.4.3',
  },

  // The pipe to the program that starts us
  'ST-01': {
    promise: 'Nothing but messages is written to standard output, whatever is printed there.',
    source: 'MCP 2026-07-28, stdio',
  },
  'ST-02': {
    promise:
      'A pipe has the rights of the key in its environment, asked for with every call; without one it is not served.',
    source: 'MCP 2026-07-28, authorization; OWASP ASVS 5.0 V8.3.2',
  },
  'ST-03': {
    promise: 'A line is one bounded message. What is none is answered once, and the next line is taken.',
    source: 'MCP 2026-07-28, stdio; JSON-RPC 2.0 §4.1, §5',
  },
  'ST-04': { promise: 'The key of the pipe is out of the reach of tools.', source: 'OWASP ASVS 5.0 V13.3.1' },
  'ST-05': { promise: 'The process ends with its host.', source: 'MCP 2026-07-28, stdio, "Shutdown"' },
  'ST-06': {
    promise: 'A data folder has one process that serves from it, over whichever transport.',
    source: 'OWASP ASVS 5.0 V16.4.2',
  },

  // Sockets
  'WS-01': {
    promise: 'Who opens a socket passes host, origin, path, limits and credential before it is answered with 101.',
    source: 'OWASP ASVS 5.0 V4.4.2, V4.4.3; RFC 6455 §10.2',
  },
  'WS-02': {
    promise:
      'No credential of a socket stands in an address: a page opens it with a ticket that is good once, for half a minute, for that page.',
    source: 'OWASP ASVS 5.0 V4.4.1, V4.4.3, V14.2.1',
  },
  'WS-03': {
    promise:
      'Each message is authenticated, authorised, limited and recorded as a POST is, and a socket ends with its credential.',
    source: 'OWASP ASVS 5.0 V8.3.2',
  },
  'WS-04': {
    promise: 'A message is text, within its size, in few pieces and within ten seconds; nothing is compressed.',
    source: 'CVE-2026-48779; CVE-2024-37890; RFC 6455 §5.6, §8.1',
  },
  'WS-05': {
    promise:
      'A socket that gives no sign of life, is idle or does not read is closed, and nobody has more than their number.',
    source: 'OWASP WebSocket Security Cheat Sheet',
  },
  'WS-06': { promise: 'One subprotocol is agreed on, and nothing is echoed.', source: 'RFC 6455 §4.2.2, §11.3.4' },

  // Cryptography
  'CR-01': { promise: 'Sealed text opens only with its whole tag.', source: 'OWASP ASVS 5.0 V11.3.2' },
  'CR-03': {
    promise: 'Records are sealed with data keys, and these are kept wrapped by the root key alone.',
    source: 'NIST SP 800-38D; OWASP ASVS 5.0 V11.3.4',
  },
  'CR-04': {
    promise: 'A key is 32 random bytes: one that is short, weak, a sample or a placeholder stops the start.',
    source: 'OWASP ASVS 5.0 V11.2.3',
  },
  'CR-05': {
    promise:
      'A new key seals everywhere at once, the old one still opens what it sealed, and a change that is cut short anywhere loses nothing.',
    source: 'OWASP ASVS 5.0 V13.3.4',
  },
  'CR-06': { promise: 'No two purposes share a key.', source: 'OWASP ASVS 5.0 V11.1.1' },
  'CR-07': {
    promise: 'A destroyed key opens nothing, in any process; one that records need is destroyed by force alone.',
    source: 'NIST SP 800-57 Part 1',
  },
  'CR-10': {
    promise: 'A process whose cryptography does not give what the standards say does not start.',
    source: 'OWASP ASVS 5.0 V11.2.5',
  },
  'CR-12': {
    promise: 'With a wrong root key nothing opens, and nothing is begun afresh.',
    source: 'OWASP ASVS 5.0 V16.5.3',
  },
  'CR-08': {
    promise: 'Randomness and cryptography come from node:crypto, and secrets are compared in constant time.',
    source: 'OWASP ASVS 5.0 V11.2.1, V11.2.4',
  },
  'CR-09': {
    promise: 'Passwords are kept as argon2id, and common ones are refused.',
    source: 'OWASP ASVS 5.0 V6.2.4, V11.4.2',
  },
  'CR-02': { promise: 'Sealed text opens only where it belongs.', source: 'OWASP ASVS 5.0 V11.3.3' },
} as const satisfies Record<string, Requirement>

export type RequirementId = keyof typeof requirements
