/** A dictionary with the keys of another: texts are texts, sentences that take something take the same. */
export type Like<T> = {
  [K in keyof T]: T[K] extends string
    ? string
    : T[K] extends (...given: infer G) => string
      ? (...given: G) => string
      : Like<T[K]>
}
