import { commonPasswordList } from './common-password-list.ts'

const common = new Set(commonPasswordList.split(' '))
const distinctMin = 4

/** Whether a password is on the list of common ones, is one of them with a few digits or marks behind it, or repeats itself. */
export function isCommonPassword(password: string): boolean {
  const text = password.toLowerCase()
  if (new Set(text).size < distinctMin) return true
  return common.has(text) || common.has(text.replace(/[^\p{L}]{1,4}$/u, ''))
}
