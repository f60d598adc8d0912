// What lint says of imports: every circle is found, whole and once, and nothing else is.

import test from "ava";
import fc from "fast-check";
import { circles } from "../../../host/build/circles.ts";

const graph = (...arrows: readonly string[]): Map<string, string[]> => {
  const found = new Map<string, string[]>();
  for (const arrow of arrows) {
    const [from = "", to = ""] = arrow.split(">");
    found.set(from, [...(found.get(from) ?? []), to]);
    if (!found.has(to)) found.set(to, []);
  }
  return found;
};

test("a circle is found, with every file in it", (t) => {
  t.deepEqual(circles(graph("a>b", "b>c", "c>a", "c>d", "d>e")), [["a", "b", "c"]]);
  t.deepEqual(circles(graph("a>b", "b>a", "b>c", "c>d", "d>c")).toSorted(), [
    ["a", "b"],
    ["c", "d"],
  ]);
});

test("two ways to the same file are no circle", (t) => {
  t.deepEqual(circles(graph("a>b", "a>c", "b>d", "c>d", "a>d")), []);
});

test("of random graphs: two files are in one circle if and only if each is reached from the other", (t) => {
  const arrows = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 20 });
  t.notThrows(() =>
    fc.assert(
      fc.property(arrows, (pairs) => {
        const some = graph(...pairs.map(([a, b]) => `${a}>${b}`));
        const reached = (from: string): Set<string> => {
          const seen = new Set<string>();
          const rest = [...(some.get(from) ?? [])];
          for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
            if (seen.has(next)) continue;
            seen.add(next);
            rest.push(...(some.get(next) ?? []));
          }
          return seen;
        };
        const found = circles(some);
        return [...some.keys()].every((a) =>
          [...some.keys()].every((b) => {
            const together = found.some((circle) => circle.includes(a) && circle.includes(b));
            return a === b || together === (reached(a).has(b) && reached(b).has(a));
          }),
        );
      }),
    ),
  );
});
