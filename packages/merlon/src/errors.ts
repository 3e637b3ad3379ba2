/**
 * Every refusal and failure Merlon can answer with, in one table.
 *
 * `http` is the status of a refusal before dispatch; `rpc` the JSON-RPC code (numbers inside -32768…-32000 are those of
 * JSON-RPC 2.0 and of MCP; ours lie outside). `code` is the word a program can switch on. `says` is all the caller is
 * told; what really happened goes in the Fault's `cause`, stays inside, and is logged once.
 */
export interface ErrorSpec {
  readonly http: number
  readonly rpc: number
  readonly code: string
  readonly blame: 'caller' | 'server' | 'upstream'
  readonly retry: boolean
  readonly says: string
  readonly fix: string
}

export const errors = {
  // The shape of the request
  'head.too-large': {
    http: 431,
    rpc: 43101,
    code: 'HEADERS_TOO_LARGE',
    blame: 'caller',
    retry: false,
    says: 'The request header is too large.',
    fix: 'Send fewer or shorter headers.',
  },
  'uri.too-long': {
    http: 414,
    rpc: 41401,
    code: 'URI_TOO_LONG',
    blame: 'caller',
    retry: false,
    says: 'The request target is too long.',
    fix: 'Shorten the URL.',
  },
  'header.duplicated': {
    http: 400,
    rpc: -32600,
    code: 'DUPLICATE_HEADER',
    blame: 'caller',
    retry: false,
    says: 'A header that may appear once appears twice.',
    fix: 'Send the header once.',
  },
  'target.refused': {
    http: 400,
    rpc: -32600,
    code: 'INVALID_TARGET',
    blame: 'caller',
    retry: false,
    says: 'The request target is not a plain path.',
    fix: 'Send the path alone, as in POST /mcp.',
  },
  'handshake.refused': {
    http: 400,
    rpc: 40004,
    code: 'INVALID_HANDSHAKE',
    blame: 'caller',
    retry: false,
    says: 'This is no WebSocket handshake that is served here.',
    fix: 'Send Sec-WebSocket-Version: 13, a Sec-WebSocket-Key and Sec-WebSocket-Protocol: mcp, and no body.',
  },
  'host.malformed': {
    http: 400,
    rpc: -32600,
    code: 'INVALID_HOST',
    blame: 'caller',
    retry: false,
    says: 'The Host header is missing or malformed.',
    fix: 'Send one Host header: a name and an optional port.',
  },
  'host.refused': {
    http: 403,
    rpc: 40302,
    code: 'HOST_REFUSED',
    blame: 'caller',
    retry: false,
    says: 'This host is not served here.',
    fix: 'Use an allowed host, or add it to server.allowedHosts.',
  },
  'origin.refused': {
    http: 403,
    rpc: 40303,
    code: 'ORIGIN_REFUSED',
    blame: 'caller',
    retry: false,
    says: 'This origin is not allowed.',
    fix: 'Add the origin to cors.allowedOrigins.',
  },
  'route.unknown': {
    http: 404,
    rpc: 40401,
    code: 'NOT_FOUND',
    blame: 'caller',
    retry: false,
    says: 'Nothing is served at this path.',
    fix: 'Check the path of the endpoint.',
  },
  'verb.refused': {
    http: 405,
    rpc: 40501,
    code: 'METHOD_NOT_ALLOWED',
    blame: 'caller',
    retry: false,
    says: 'This HTTP method is not served at this path.',
    fix: 'Use a method named in the Allow header.',
  },
  'accept.unsuitable': {
    http: 406,
    rpc: -32600,
    code: 'NOT_ACCEPTABLE',
    blame: 'caller',
    retry: false,
    says: 'The Accept header does not admit the answer.',
    fix: 'Send Accept: application/json, text/event-stream (a GET: text/event-stream).',
  },
  'media-type.refused': {
    http: 415,
    rpc: -32600,
    code: 'UNSUPPORTED_MEDIA_TYPE',
    blame: 'caller',
    retry: false,
    says: 'The content type or encoding is not accepted.',
    fix: 'Send Content-Type: application/json and no Content-Encoding.',
  },
  'body.too-large': {
    http: 413,
    rpc: -32600,
    code: 'BODY_TOO_LARGE',
    blame: 'caller',
    retry: false,
    says: 'The request body is too large.',
    fix: 'Send less, or raise limits.messageBytesMax.',
  },
  'body.timeout': {
    http: 408,
    rpc: 40801,
    code: 'REQUEST_TIMEOUT',
    blame: 'caller',
    retry: true,
    says: 'The request did not arrive in time.',
    fix: 'Send the request without pauses.',
  },
  'body.malformed': {
    http: 400,
    rpc: -32700,
    code: 'PARSE_ERROR',
    blame: 'caller',
    retry: false,
    says: 'The body is not JSON in UTF-8.',
    fix: 'Send one JSON object.',
  },
  'request.invalid': {
    http: 400,
    rpc: -32600,
    code: 'INVALID_REQUEST',
    blame: 'caller',
    retry: false,
    says: 'The message is not a valid JSON-RPC request.',
    fix: 'Send one JSON-RPC 2.0 object with exact keys, no duplicates and bounded depth.',
  },
  'id.in-flight': {
    http: 400,
    rpc: -32600,
    code: 'DUPLICATE_REQUEST_ID',
    blame: 'caller',
    retry: false,
    says: 'A request with this id is still being answered.',
    fix: 'Use a new id for each request.',
  },

  // Who is calling
  'credential.missing': {
    http: 401,
    rpc: 40101,
    code: 'MISSING_API_KEY',
    blame: 'caller',
    retry: false,
    says: 'API key required',
    fix: 'Send Authorization: Bearer <key> or X-API-Key: <key>.',
  },
  'credential.invalid': {
    http: 401,
    rpc: 40102,
    code: 'INVALID_API_KEY',
    blame: 'caller',
    retry: false,
    says: 'Invalid API key',
    fix: 'Ask the operator for a new key.',
  },
  'credential.certificate': {
    http: 403,
    rpc: 40306,
    code: 'CERTIFICATE_REFUSED',
    blame: 'caller',
    retry: false,
    says: 'The connection was closed: no client certificate, or not a good one.',
    fix: 'Show a certificate of the authority that tls.clientCaPath names.',
  },
  'login.refused': {
    http: 401,
    rpc: 40103,
    code: 'LOGIN_REFUSED',
    blame: 'caller',
    retry: false,
    says: 'The name or the password is not right.',
    fix: 'Try again, or ask an administrator for a new password.',
  },
  'login.second-factor': {
    http: 401,
    rpc: 40104,
    code: 'SECOND_FACTOR_REQUIRED',
    blame: 'caller',
    retry: false,
    says: 'The password is right, and a code of the second factor is needed.',
    fix: 'Send the code of your authenticator app, or a recovery code, as code.',
  },
  'credential.doubled': {
    http: 400,
    rpc: 40001,
    code: 'INVALID_REQUEST',
    blame: 'caller',
    retry: false,
    says: 'More than one credential was sent.',
    fix: 'Send one credential, in one header.',
  },
  'tenant.missing': {
    http: 403,
    rpc: 40305,
    code: 'TENANT_MISSING',
    blame: 'caller',
    retry: false,
    says: 'The token does not say which tenant it is for.',
    fix: 'Ask the issuer for the claim that identity.issuers names.',
  },
  'scope.missing': {
    http: 403,
    rpc: 40301,
    code: 'INSUFFICIENT_SCOPE',
    blame: 'caller',
    retry: false,
    says: 'Insufficient permissions.',
    fix: 'Ask the operator for a key with the scope.',
  },

  // The protocol
  'revision.unsupported': {
    http: 400,
    rpc: -32022,
    code: 'UNSUPPORTED_PROTOCOL_VERSION',
    blame: 'caller',
    retry: false,
    says: 'Unsupported protocol version',
    fix: 'Use a version listed in data.supported.',
  },
  'header.mismatch': {
    http: 400,
    rpc: -32020,
    code: 'HEADER_MISMATCH',
    blame: 'caller',
    retry: false,
    says: 'A request header does not match the body.',
    fix: 'Send MCP-Protocol-Version, Mcp-Method, Mcp-Name and Mcp-Param-* exactly as the body says.',
  },
  'meta.invalid': {
    http: 400,
    rpc: -32602,
    code: 'INVALID_PARAMS',
    blame: 'caller',
    retry: false,
    says: 'The request lacks required _meta fields.',
    fix: 'Send protocolVersion and clientCapabilities in params._meta.',
  },
  'capability.missing': {
    http: 400,
    rpc: -32021,
    code: 'MISSING_CLIENT_CAPABILITY',
    blame: 'caller',
    retry: false,
    says: 'The client lacks a capability that this request needs.',
    fix: 'Declare the capability named in data.requiredCapabilities.',
  },
  'method.unknown': {
    http: 404,
    rpc: -32601,
    code: 'METHOD_NOT_FOUND',
    blame: 'caller',
    retry: false,
    says: 'Method not found',
    fix: 'Call a method that the server declares.',
  },
  'params.invalid': {
    http: 200,
    rpc: -32602,
    code: 'INVALID_PARAMS',
    blame: 'caller',
    retry: false,
    says: 'Invalid params',
    fix: 'Send the parameters that the method asks for.',
  },
  'arguments.invalid': {
    http: 200,
    rpc: -32602,
    code: 'INVALID_ARGUMENTS',
    blame: 'caller',
    retry: false,
    says: 'The arguments do not fit the input schema.',
    fix: 'Send arguments that fit the schema in tools/list.',
  },
  'tool.unknown': {
    http: 200,
    rpc: -32602,
    code: 'UNKNOWN_TOOL',
    blame: 'caller',
    retry: false,
    says: 'Unknown tool',
    fix: 'Call a tool that tools/list shows.',
  },
  'prompt.unknown': {
    http: 200,
    rpc: -32602,
    code: 'UNKNOWN_PROMPT',
    blame: 'caller',
    retry: false,
    says: 'Unknown prompt',
    fix: 'Get a prompt that prompts/list shows.',
  },
  'resource.unknown': {
    http: 200,
    rpc: -32602,
    code: 'UNKNOWN_RESOURCE',
    blame: 'caller',
    retry: false,
    says: 'Resource not found',
    fix: 'Read a resource that resources/list or a template shows.',
  },
  'cursor.invalid': {
    http: 200,
    rpc: -32602,
    code: 'INVALID_CURSOR',
    blame: 'caller',
    retry: false,
    says: 'The cursor is not valid.',
    fix: 'List again without a cursor.',
  },
  'state.invalid': {
    http: 200,
    rpc: -32602,
    code: 'INVALID_REQUEST_STATE',
    blame: 'caller',
    retry: false,
    says: 'The requestState is not valid for this request.',
    fix: 'Start the request again without requestState.',
  },
  'input.invalid': {
    http: 200,
    rpc: -32602,
    code: 'INVALID_INPUT_RESPONSE',
    blame: 'caller',
    retry: false,
    says: 'An input response does not fit what was asked.',
    fix: 'Answer each input request with a result of its kind.',
  },

  // Sessions of the stateful revisions
  'session.missing': {
    http: 400,
    rpc: -32600,
    code: 'SESSION_REQUIRED',
    blame: 'caller',
    retry: false,
    says: 'The Mcp-Session-Id header is missing.',
    fix: 'Send initialize first, then its session id.',
  },
  'session.unknown': {
    http: 404,
    rpc: 40402,
    code: 'SESSION_NOT_FOUND',
    blame: 'caller',
    retry: false,
    says: 'There is no such session or event.',
    fix: 'Start again with initialize.',
  },
  'session.capacity': {
    http: 503,
    rpc: 50302,
    code: 'SESSION_CAPACITY',
    blame: 'caller',
    retry: true,
    says: 'No more sessions can be opened now.',
    fix: 'End a session with DELETE, or wait for Retry-After.',
  },
  'session.revision': {
    http: 400,
    rpc: -32600,
    code: 'PROTOCOL_VERSION_MISMATCH',
    blame: 'caller',
    retry: false,
    says: 'The session was opened with another protocol version.',
    fix: 'Send the negotiated version in MCP-Protocol-Version.',
  },
  'stream.taken': {
    http: 409,
    rpc: 40901,
    code: 'STREAM_TAKEN',
    blame: 'caller',
    retry: false,
    says: 'This stream is already being read.',
    fix: 'Close the other reader first.',
  },
  'stream.moved-on': {
    http: 409,
    rpc: 40903,
    code: 'EVENT_SUPERSEDED',
    blame: 'caller',
    retry: false,
    says: 'This stream was resumed from a later event since.',
    fix: 'Resume with the last event that you have.',
  },
  'stream.lost': {
    http: 410,
    rpc: 41001,
    code: 'HISTORY_LOST',
    blame: 'caller',
    retry: false,
    says: 'Some of what came after this event is no longer kept.',
    fix: 'Send the request again, or open the stream without Last-Event-ID; see resumability.',
  },

  // How much
  'rate.exceeded': {
    http: 429,
    rpc: 42901,
    code: 'RATE_LIMITED',
    blame: 'caller',
    retry: true,
    says: 'Too many calls.',
    fix: 'Wait for Retry-After.',
  },
  'capacity.exceeded': {
    http: 503,
    rpc: 50301,
    code: 'OVERLOADED',
    blame: 'server',
    retry: true,
    says: 'The server is at capacity.',
    fix: 'Wait for Retry-After.',
  },

  // The control plane
  'fields.invalid': {
    http: 400,
    rpc: 40003,
    code: 'INVALID_FIELDS',
    blame: 'caller',
    retry: false,
    says: 'The request does not fit what the operation takes.',
    fix: 'Mend what is named in errors.',
  },
  'entry.unknown': {
    http: 404,
    rpc: 40403,
    code: 'ENTRY_NOT_FOUND',
    blame: 'caller',
    retry: false,
    says: 'There is no such entry.',
    fix: 'List the entries you can see.',
  },
  'change.forbidden': {
    http: 403,
    rpc: 40304,
    code: 'FORBIDDEN',
    blame: 'caller',
    retry: false,
    says: 'You may not do that.',
    fix: 'Ask someone who holds what it takes.',
  },
  'confirmation.required': {
    http: 403,
    rpc: 40307,
    code: 'CONFIRMATION_REQUIRED',
    blame: 'caller',
    retry: false,
    says: 'It takes a sign-in that was confirmed with the second factor in the last ten minutes.',
    fix: 'Send a code to POST /api/auth/confirm (merlon confirm), and ask again.',
  },
  'change.conflict': {
    http: 409,
    rpc: 40902,
    code: 'CONFLICT',
    blame: 'caller',
    retry: false,
    says: 'It does not fit what is there.',
    fix: 'Look at what is there, and ask for something else.',
  },
  'version.missing': {
    http: 428,
    rpc: 42801,
    code: 'PRECONDITION_REQUIRED',
    blame: 'caller',
    retry: false,
    says: 'A change must say what it changes.',
    fix: 'Get the entry, and send its ETag in If-Match.',
  },
  'version.stale': {
    http: 412,
    rpc: 41201,
    code: 'PRECONDITION_FAILED',
    blame: 'caller',
    retry: false,
    says: 'It has changed since you saw it.',
    fix: 'Get the entry again, and decide anew.',
  },
  'attempt.reused': {
    http: 422,
    rpc: 42201,
    code: 'IDEMPOTENCY_KEY_REUSED',
    blame: 'caller',
    retry: false,
    says: 'This Idempotency-Key was sent with another request.',
    fix: 'Use a new one for each thing you make.',
  },

  // Ourselves
  'store.unavailable': {
    http: 503,
    rpc: 50303,
    code: 'STORE_UNAVAILABLE',
    blame: 'server',
    retry: true,
    says: 'The server cannot check this request now.',
    fix: 'Retry; ask the operator to check the store.',
  },
  'audit.unavailable': {
    http: 503,
    rpc: 50304,
    code: 'AUDIT_UNAVAILABLE',
    blame: 'server',
    retry: true,
    says: 'The server cannot record this request now.',
    fix: 'Retry; ask the operator to check the audit log.',
  },
  'server.draining': {
    http: 503,
    rpc: 50305,
    code: 'DRAINING',
    blame: 'server',
    retry: true,
    says: 'The server is stopping.',
    fix: 'Retry after it has started again.',
  },
  'tool.timeout': {
    http: 504,
    rpc: 50401,
    code: 'TOOL_TIMEOUT',
    blame: 'server',
    retry: true,
    says: 'The call did not finish in time.',
    fix: 'Ask for less, or raise limits.callTimeoutMs.',
  },
  'call.lost': {
    http: 502,
    rpc: 50201,
    code: 'CALL_LOST',
    blame: 'server',
    retry: false,
    says: 'The server that ran this call ended, or could not keep its answer.',
    fix: 'Find out whether the call had its effect before you send it again.',
  },
  'client.refused': {
    http: 200,
    rpc: 40002,
    code: 'CLIENT_REFUSED',
    blame: 'caller',
    retry: false,
    says: 'The client answered a question with an error.',
    fix: 'See what the client said.',
  },
  'call.cancelled': {
    http: 499,
    rpc: 49901,
    code: 'CANCELLED',
    blame: 'caller',
    retry: false,
    says: 'The call was cancelled.',
    fix: 'Nothing; the caller asked for it.',
  },
  internal: {
    http: 500,
    rpc: -32603,
    code: 'INTERNAL_ERROR',
    blame: 'server',
    retry: false,
    says: 'Internal error',
    fix: 'Give the request id to the operator.',
  },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof errors

/** What a Fault may add to its answer: all of it is shown to the caller, so none of it may be secret. */
export interface FaultDetail {
  /** Appended to the table's sentence. */
  readonly says?: string
  /** The `data` of the JSON-RPC error, beside `code`. */
  readonly data?: Readonly<Record<string, unknown>>
  /** The scope to ask for (RFC 6750 §3.1). */
  readonly scope?: string
  /** For Retry-After. */
  readonly retryAfterMs?: number
  /** For RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers): the limit that was reached. */
  readonly limit?: { readonly name: string; readonly callsMax: number; readonly windowMs: number }
  /** What of it is left, though too little. Default 0. */
  readonly remaining?: number
  /** For Allow. */
  readonly allow?: string
  /** For the audit record alone: the public id of a credential that was refused, and what a refused call was about. */
  readonly credential?: string | undefined
  readonly target?: string | undefined
  /** Why, for the audit record and the log alone; never sent. */
  readonly reason?: string
  readonly cause?: unknown
}

/**
 * A refusal or failure with a code from the table. Thrown by guards and handlers.
 * It carries no stack: a refusal is an ordinary outcome, and on the path of a call a stack costs more than the call.
 */
export class Fault extends Error {
  readonly code: ErrorCode
  readonly detail: FaultDetail

  constructor(code: ErrorCode, detail: FaultDetail = {}) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(code, detail.cause === undefined ? undefined : { cause: detail.cause })
    Error.stackTraceLimit = limit
    this.name = 'Fault'
    this.code = code
    this.detail = detail
  }

  get spec(): ErrorSpec {
    return errors[this.code]
  }

  /** The sentence that the caller may read. */
  get sentence(): string {
    const { says } = this.spec
    return this.detail.says === undefined ? says : `${says}${says.endsWith('.') ? ' ' : ': '}${this.detail.says}`
  }
}

/** Anything thrown, as a Fault. What is not one already reads `internal` outside and keeps its cause inside. */
export function faultOf(thrown: unknown): Fault {
  return thrown instanceof Fault ? thrown : new Fault('internal', { cause: thrown })
}
