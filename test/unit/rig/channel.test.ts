import { PassThrough } from "node:stream";
import test from "ava";
import fc from "fast-check";
import { copyUntilMark } from "../../rig/channel.ts";

const MARK = Buffer.from("\0rig end abc ");

async function copy(chunks: readonly Buffer[]): Promise<{ copied: Buffer; line: string | undefined }> {
  const from = new PassThrough();
  const to = new PassThrough();
  const line = copyUntilMark(from, to, MARK);
  for (const chunk of chunks) from.write(chunk);
  from.end();
  const answer = await line;
  to.end();
  return { copied: Buffer.concat(await to.toArray()), line: answer };
}

/** `bytes` cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

test("what lies before the mark is copied and the line behind it answered, however the bytes arrive", async (t) => {
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat()), async (bytes, places) => {
    const all = Buffer.concat([Buffer.from(bytes), MARK, Buffer.from("7\nignored")]);
    const { copied, line } = await copy(cut(all, places));
    t.deepEqual(copied, Buffer.from(bytes));
    t.is(line, "7");
  });
  await fc.assert(property, { numRuns: 200 });
});

test("a stream that ends without the mark is copied whole, even if it ends like one", async (t) => {
  const bytes = Buffer.concat([Buffer.from("output"), MARK.subarray(0, 5)]);
  const { copied, line } = await copy([bytes]);
  t.deepEqual(copied, bytes);
  t.is(line, undefined);
});
