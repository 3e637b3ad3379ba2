import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { errors } from '../errors.ts'
import { apiPage } from './api-page.ts'
import { openApiDocument } from './openapi.ts'
import { operations } from './operations.ts'

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly schema: object
}
interface Described {
  readonly operationId: string
  readonly security?: readonly object[]
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: object }>>
}
const document = openApiDocument(operations) as {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
}
const described = Object.entries(document.paths).flatMap(([path, verbs]) =>
  Object.entries(verbs).map(([method, each]) => ({ path, method, ...each })),
)

describe('the OpenAPI document', () => {
  test('has every operation once, under its own name', () => {
    expect(document.openapi).toBe('3.1.1')
    expect(described.map(({ operationId }) => operationId).sort()).toEqual(operations.map(({ name }) => name).sort())
  })

  test.each(described)('$operationId: what stands in its path is a parameter, and required', ({ path, parameters }) => {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(parameters.filter((each) => each.in === 'path').map(({ name }) => name)).toEqual(inPath)
    for (const { in: where, required } of parameters) if (where === 'path') expect(required).toBe(true)
    const names = parameters.map((each) => `${each.in} ${each.name}`)
    expect(new Set(names).size).toBe(names.length)
  })

  test('every schema is one of JSON Schema 2020-12, and refers to nothing that is not there', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addKeyword('components')
    const schemas = new Set<object>()
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [key, inner] of Object.entries(value)) {
        if (key === 'schema') schemas.add(inner as object)
        else if (key === '$ref') expect(inner).toBe('#/components/schemas/Problem')
        walk(inner)
      }
    }
    walk(document)
    expect(schemas.size).toBeGreaterThan(100)
    for (const schema of schemas) {
      if ('$ref' in schema) continue
      expect(ajv.validateSchema(schema), JSON.stringify(ajv.errors)).toBe(true)
      expect(() => ajv.compile(schema)).not.toThrow()
    }
  })

  test('AD-10: each says which refusals are its own, and all are problems', () => {
    for (const { operationId, responses, security } of described) {
      const refusals = Object.entries(responses).filter(([status]) => Number(status) >= 400)
      for (const [status, { content }] of refusals)
        expect(Object.keys(content ?? {}), `${operationId} ${status}`).toEqual(['application/problem+json'])
      const statuses = refusals.map(([status]) => status)
      if (security === undefined) expect(statuses, operationId).toEqual(expect.arrayContaining(['401', '403']))
      else expect(security).toEqual([])
      expect(statuses).toEqual(expect.arrayContaining(['400', '429', '500']))
    }
    expect(described.find(({ operationId }) => operationId === 'users.update')?.responses['412']?.description).toBe(
      errors['version.stale'].says,
    )
  })

  test('AU-10: every body refuses what it does not name', () => {
    const bodies = described.flatMap(({ operationId, requestBody }) =>
      requestBody === undefined ? [] : [[operationId, requestBody.content['application/json']!.schema] as const],
    )
    expect(bodies.length).toBeGreaterThan(10)
    for (const [name, schema] of bodies) {
      const forms = 'anyOf' in schema ? (schema.anyOf as object[]) : [schema]
      for (const form of forms) expect(form, name).toMatchObject({ type: 'object', additionalProperties: false })
    }
  })

  test('the page says of every operation how it is asked', () => {
    const page = apiPage(operations)
    for (const { method, path } of operations) expect(page).toContain(`<code>${method} ${path}</code>`)
    expect(page).not.toMatch(/<script|undefined|\[object/)
  })
})
