import { apiPage } from './api-page.ts'
import { openApiDocument } from './openapi.ts'
import { type Operation, operation } from './operation.ts'

const html = 'text/html; charset=utf-8'
const json = 'application/json; charset=utf-8'

/** What describes the table, itself in the table. */
export function documentOperations(all: () => readonly Operation[]): readonly Operation[] {
  let page: string | undefined
  let document: string | undefined
  return [
    operation({
      name: 'openapi.get',
      method: 'GET',
      path: '/api/openapi.json',
      summary: 'This API as an OpenAPI 3.1 document.',
      access: 'authenticated',
      media: json,
      run() {
        document ??= JSON.stringify(openApiDocument(all()))
        return { text: document, type: json }
      },
    }),
    operation({
      name: 'openapi.page',
      method: 'GET',
      path: '/api/docs',
      summary: 'This API as a page to read.',
      access: 'authenticated',
      media: html,
      run() {
        page ??= apiPage(all())
        return { text: page, type: html }
      },
    }),
  ]
}
