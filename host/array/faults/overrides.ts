// A value that several faults override at the same time: the latest one in force wins, and when the last one
// is lifted the original value is back, in whatever order they come and go.

export class Overrides<T> {
  readonly #base: T;
  readonly #values = new Map<number, T>();

  /** @param base the value without any fault */
  constructor(base: T) {
    this.#base = base;
  }

  /** The fault `id` wants `value`. Returns the value in force. */
  set(id: number, value: T): T {
    this.#values.set(id, value);
    return value;
  }

  /** The fault `id` is lifted. Returns the value in force. */
  lift(id: number): T {
    this.#values.delete(id);
    let value = this.#base;
    for (const other of this.#values.values()) value = other;
    return value;
  }

  /** No fault overrides the value any more. */
  get empty(): boolean {
    return this.#values.size === 0;
  }
}
