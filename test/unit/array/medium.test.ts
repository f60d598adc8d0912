// A sparse medium tells what was written to it, and costs nothing where nothing was.

import test from "ava";
import { SparseMedium } from "../../../host/array/medium.ts";

test("a stretch of a gigabyte is zeroed at once, and what lies beside it stays", (t) => {
  const medium = new SparseMedium();
  const places = [0, 4096, 2 ** 30, 2 ** 30 + 4096];
  for (const place of places)
    medium.write(new Uint8Array(4096).fill(7), 0, place | 0, Math.floor(place / 2 ** 32), 4096);
  medium.zero(2048, 0, 2 ** 30 - 2048 + 1024);
  t.deepEqual(
    [...medium.pieces()].map(([offset]) => offset),
    [0, 2 ** 30, 2 ** 30 + 4096],
  );
  const bytes = new Uint8Array(4096);
  medium.read(bytes, 0, 0, 0, 4096);
  t.is(bytes.indexOf(0), 2048);
  medium.read(bytes, 0, 2 ** 30, 0, 4096);
  t.is(bytes.indexOf(7), 1024);
});
