/** The member of a result that is one block of text. */
export function textMember(text: string): string {
  return `"content":[{"type":"text","text":${JSON.stringify(text)}}]`
}

/** The members of a result that tells the caller that the tool failed. */
export function encodeToolFailure(sentence: string): string {
  return `${textMember(sentence)},"isError":true`
}
