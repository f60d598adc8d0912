// Ways to break the core that show only in data of a certain size, place or content, in durability, or in the error that a
// client gets. Two show in too few worlds: a deadline that restarts with each command (see deadlines.test.ts), and a flush
// for FUA that counts although power was lost before it (see test/unit/core/durability.test.ts).

import type { Mutant } from "./mutant-list.ts";

export const dataMutants: readonly Mutant[] = [
  {
    name: "second-buffer-is-the-first",
    why: "what is read beyond the first MiB of a request comes into its first buffer",
    file: "request/dispatch.ts",
    find: "  return <u32>requestBlock(request, at / PIECE_BYTES_MAX) + (at & (PIECE_BYTES_MAX - 1));",
    replace: "  return <u32>requestBlock(request, at / PIECE_BYTES_MAX / 2) + (at & (PIECE_BYTES_MAX - 1));",
  },
  {
    name: "pieces-beyond-a-buffer",
    why: "a piece may go on behind the end of its buffer",
    file: "request/dispatch.ts",
    find: "min(whole, PIECE_BYTES_MAX - (request.cut & (PIECE_BYTES_MAX - 1)));",
    replace: "whole;",
  },
  {
    name: "payload-beyond-a-buffer",
    why: "a payload is received behind the end of a buffer",
    file: "frontend/nbd/parser.ts",
    find: "    PIECE_BYTES_MAX - (at & (PIECE_BYTES_MAX - 1)),",
    replace: "    PIECE_BYTES_MAX + 64 - (at & (PIECE_BYTES_MAX - 1)),",
  },
  {
    name: "addresses-of-32-bits",
    why: "commands of 16 bytes carry 32 bits of an address",
    file: "scsi/cdb.ts",
    find: "  store<u64>(cdb, bswap<u64>(lba), 2);\n  store<u32>(cdb, bswap<u32>(blocks), 10);\n  store<u16>(cdb, 0, 14);",
    replace:
      "  store<u64>(cdb, bswap<u64>(lba & 0xffffffff), 2);\n  store<u32>(cdb, bswap<u32>(blocks), 10);\n  store<u16>(cdb, 0, 14);",
  },
  {
    name: "fua-lost-on-the-way",
    why: "a write that is issued again goes without FUA",
    file: "overdue/speculative-retry.ts",
    find: "  build(command.unit, command.request, duplicate);\n",
    replace:
      "  build(command.unit, command.request, duplicate);\n  if (command.method === 1) duplicate.cdb0 &= ~0x800;\n",
  },
  {
    name: "flush-part-of-it",
    why: "FUA of a zeroing is no flush",
    file: "request/dispatch.ts",
    find: "    request.syncAfter = 1;",
    replace: "    request.syncAfter = method <= METHOD_ZERO_WRITE ? 1 : 0;",
  },
  {
    name: "forget-a-loss",
    why: "no flush fails for data that the device has lost",
    file: "request/cache.ts",
    find: "  unit.dataLost = 1;",
    replace: "  unit.dataLost = 0;",
  },
  {
    name: "no-room-is-an-error",
    why: "no room on a thin unit is told as EIO",
    file: "scsi/meaning.ts",
    find: "SILENT,                 ENOSPC,",
    replace: "SILENT,                 EIO,",
  },
  {
    name: "reserved-is-an-error",
    why: "what is reserved for another host, or protected, is told as EIO",
    file: "scsi/meaning.ts",
    find: "SILENT,                 EPERM,",
    replace: "SILENT,                 EIO,",
  },
  {
    name: "past-the-end-is-all-one",
    why: "a write past the end is told as a read past the end is",
    file: "request/method.ts",
    find: "  return kind === OPERATION_WRITE || kind === OPERATION_WRITE_ZEROES ? ENOSPC : EINVAL;",
    replace: "  return EINVAL;",
  },
  {
    name: "any-flag-will-do",
    why: "flags that nobody knows are ignored",
    file: "frontend/nbd/parser.ts",
    find: "(flags !== 0 && (flags & ~flagsAllowed(connection, kind)) !== 0)",
    replace: "(flags & 0x8000) !== 0",
  },
  {
    name: "beyond-the-end",
    why: "the sum of offset and length may overflow",
    file: "frontend/nbd/parser.ts",
    find: "  if (bytes > size || offset > size - bytes) return pastEnd(kind);",
    replace: "  if (bytes > size || offset + bytes > size) return pastEnd(kind);",
  },
  {
    name: "trim-what-is-not-whole",
    why: "a trim takes the blocks at its edges",
    file: "request/cover.ts",
    find: "  const from = (request.askedOffset + block - 1) & ~(block - 1);\n  const end = (request.askedOffset + request.askedBytes) & ~(block - 1);\n  if",
    replace:
      "  const from = request.askedOffset & ~(block - 1);\n  const end = (request.askedOffset + request.askedBytes + block - 1) & ~(block - 1);\n  if",
  },
  {
    name: "data-is-a-hole",
    why: "mapped blocks are told to read as zeroes",
    file: "request/allocation.ts",
    find: "  return status === STATUS_ANCHORED ? STATE_ZERO : 0;",
    replace: "  return STATE_ZERO;",
  },
  {
    name: "more-time-for-waiting",
    why: "a zeroing that no path takes has its time anew whenever its turn comes",
    first: 3912,
    file: "request/dispatch.ts",
    find: "    if (slot === NO_PATH) noPath(unit);\n    return PIECE_BLOCKED;",
    replace:
      "    if (slot === NO_PATH) noPath(unit);\n    unit.zeroedNs = now;\n    longBegins(request);\n    return PIECE_BLOCKED;",
  },
];
