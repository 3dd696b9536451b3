/** What the exchange says against fields, shown at the fields: `/emergency/reason` is the field `['emergency', 'reason']`. */
import type { FormInstance } from 'antd'
import { useEffect } from 'react'
import type { Problem } from '../api/client'

export function fieldOf(pointer: string): (string | number)[] {
  return pointer.split('/').slice(1).map((step) => (/^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~')))
}

/** Shows the defects of `problem` at the fields of `form`, and goes to the first. */
export function useDefects<T>(form: FormInstance<T>, problem: Problem | null): void {
  useEffect(() => {
    // where a defect points is known only when it comes
    const fields = form as unknown as FormInstance<Record<string, unknown>>
    const errors = problem?.errors ?? []
    if (!errors.length) return
    const byField = new Map<string, string[]>()
    for (const { pointer, detail } of errors) byField.set(pointer, [...(byField.get(pointer) ?? []), detail])
    const known = [...byField].map(([pointer, details]) => ({ name: fieldOf(pointer), errors: details })).filter((one) => fields.getFieldInstance(one.name) !== undefined)
    fields.setFields(known)
    if (known[0]) fields.scrollToField(known[0].name, { block: 'center' })
  }, [form, problem])
}
