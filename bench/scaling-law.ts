// The universal scalability law (Gunther): how throughput grows with the number of threads when part of the work is serial (contention), and
// each has to agree with each other (coherence).

export interface Law {
  readonly contention: number;
  readonly coherence: number;
}

/**
 * Contention and coherence of N / C(N) - 1 = s (N - 1) + k N (N - 1), by least squares; with two points contention alone.
 * @param gains C(N): throughput of 1 to N threads over that of one
 */
export function fitted(gains: readonly number[]): Law {
  const points = gains.map((gain, at) => ({ n: at + 1, y: (at + 1) / gain - 1 })).slice(1);
  const sum = (of: (n: number, y: number) => number): number => points.reduce((all, { n, y }) => all + of(n, y), 0);
  const [aa, ab, bb] = [sum((n) => (n - 1) ** 2), sum((n) => n * (n - 1) ** 2), sum((n) => (n * (n - 1)) ** 2)];
  const [ay, by] = [sum((n, y) => (n - 1) * y), sum((n, y) => n * (n - 1) * y)];
  const determinant = aa * bb - ab * ab;
  const isLine = points.length < 2 || determinant === 0;
  const coherence = isLine ? 0 : Math.max(0, (aa * by - ab * ay) / determinant);
  return { contention: aa === 0 ? 0 : Math.max(0, (ay - coherence * ab) / aa), coherence };
}

/** C(N) by the law: the gain that N threads would have. */
export const predicted = (n: number, { contention, coherence }: Law): number =>
  n / (1 + contention * (n - 1) + coherence * n * (n - 1));
