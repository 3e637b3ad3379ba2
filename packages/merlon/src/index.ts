export { openServer, type Server, type ServerOptions } from './app.ts'
export type { AuditEntry } from './audit/audit-log.ts'
export { audio, Content, content, embedded, failure, image, link, structured, text } from './catalog/content.ts'
export {
  type CallContext,
  type Complete,
  definePrompt,
  defineResource,
  defineTool,
  type PromptDefinition,
  type PromptMessage,
  type ResourceBody,
  type ResourceDefinition,
  type ResourceTemplateDefinition,
  type ToolDefinition,
  ToolError,
} from './catalog/define.ts'
export { localOperator } from './identity/actor.ts'
export { type Authenticator, accept, defineAuthenticator, reject, type Subject } from './identity/authenticator.ts'
