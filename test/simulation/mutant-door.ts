// Ways to break the block door: ownership of buffers, closed clients, refusals. Two cases are invisible to the worlds: that
// an embedder which does not empty the completions is not served, and that the WRITE of a closed client is not sent; see
// test/unit/core/block-door*.test.ts.

import type { Mutant } from "./mutant-list.ts";

export const doorMutants: readonly Mutant[] = [
  {
    name: "own-buffer-back-too-soon",
    why: "nobody is told that a command may still touch his buffer",
    file: "frontend/block/answers.ts",
    find: "  if (request.own === OWN_NOT) return false;",
    replace: "  if (request.own <= 1) return false;",
  },
  {
    name: "data-is-where-it-was-wanted",
    why: "a read that was sent again elsewhere is told to lie in its client's buffer",
    file: "frontend/block/answers.ts",
    find: "    address = dataAt;",
    replace: "    address = request.own === OWN_NOT ? dataAt : <usize>load<u32>(changetype<usize>(request) + 224);",
  },
  {
    name: "lend-what-is-free",
    why: "a lent buffer is free as soon as it was told",
    file: "frontend/block/answers.ts",
    find: "  if (held) tag.state = TAG_HELD;\n  else tagFree(tag);",
    replace: "  tagFree(tag);",
  },
  {
    name: "keep-what-came-back",
    why: "buffers that are given back stay taken",
    file: "frontend/block/answers.ts",
    find: "  requestFreeIfOver(request);",
    replace: "  if ((request.index & 7) !== 7) requestFreeIfOver(request);",
  },
  {
    name: "closed-clients-are-answered",
    why: "a client that was closed is told how its request went",
    file: "frontend/block/answers.ts",
    find: "client.gone !== 0 ? ECANCELED : request.error;",
    replace: "request.error;",
  },
  {
    name: "any-handle-will-do",
    why: "the handle of a client that has gone is that of the next",
    file: "frontend/block/client.ts",
    find: "  return client.handle === handle && client.state",
    replace: "  return client.state",
  },
  {
    name: "who-waits-is-forgotten",
    why: "what waits for room by the block door waits for ever",
    file: "core.ts",
    find: "clientResume(changetype<BlockClient>(client));",
    replace: "client.waiting = 0;",
  },
  {
    name: "write-what-is-there",
    why: "a small WRITE goes out before its data was fetched",
    file: "frontend/block/entries.ts",
    find: "  if (kind === OPERATION_WRITE && tag.buffer === 0) {",
    replace: "  if (kind === OPERATION_WRITE && tag.buffer === 0 && tag.bytes > 8192) {",
  },
  {
    name: "beyond-the-end-by-the-door",
    why: "the sum of offset and length may overflow",
    file: "frontend/block/entries.ts",
    find: "  if (bytes > size || offset > size - bytes) return pastEnd(kind);",
    replace: "  if (bytes > size || offset + bytes > size) return pastEnd(kind);",
  },
];
