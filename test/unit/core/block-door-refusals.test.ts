// Entries of the block door that are wrong: each is refused by name, and changes nothing.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import {
  ANSWER,
  BLOCKS,
  EBUSY,
  ECANCELED,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOSPC,
  ENOTSUP,
  EOVERFLOW,
  EPERM,
  FETCH,
  FETCHED,
  FLUSH,
  LENT,
  READ,
  REFUSED,
  RELEASE,
  SIZE,
  TRIM,
  WRITE,
  ZEROES,
  doorScene,
  free,
  kinds,
} from "./fixtures/block-door.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const wrong: readonly [name: string, entry: object, error: number, capabilities?: number, flags?: number][] = [
  ["an unknown operation", { operation: 2 }, EINVAL],
  ["the operation 7, which only NBD has", { operation: 7 }, EINVAL],
  ["an operation behind the last", { operation: 18 }, EINVAL],
  ["a tag beyond the limit", { tag: 64 }, EINVAL],
  ["the last of all tags", { tag: 0xffff_ffff }, EINVAL],
  ["a client that never was", { client: 5 }, ENODEV],
  ["a client beyond the limit", { client: 4095 }, ENODEV],
  ["no handle at all", { client: 0xffff_ffff }, ENODEV],
  ["an unknown flag", { flags: 4 }, EINVAL],
  ["a flag of zeroing with a read", { flags: abi.OPERATION_FLAG_NO_HOLE }, EINVAL],
  ["no length", { bytes: 0n }, EINVAL],
  ["a zeroing without length", { operation: ZEROES, bytes: 0n }, EINVAL],
  ["an offset within a block", { offset: 511n }, EINVAL],
  ["a length within a block", { bytes: 513n }, EINVAL],
  ["a read beyond the end", { offset: SIZE - 512n, bytes: 1024n }, EINVAL],
  ["a trim beyond the end", { operation: TRIM, offset: SIZE, bytes: 512n }, EINVAL],
  ["a write beyond the end", { operation: WRITE, offset: SIZE - 512n, bytes: 1024n }, ENOSPC],
  ["a zeroing beyond the end", { operation: ZEROES, offset: SIZE, bytes: 512n }, ENOSPC],
  ["an end beyond 64 bits", { offset: (1n << 64n) - 512n, bytes: 1024n }, EINVAL],
  ["a length beyond 64 bits less the offset", { offset: 512n, bytes: (1n << 64n) - 512n }, EINVAL],
  ["a read of more than the most", { bytes: BigInt(abi.BLOCK_BYTES_MAX) + 512n }, EOVERFLOW],
  ["a flush with an offset", { operation: FLUSH, offset: 512n, bytes: 0n }, EINVAL],
  ["a flush with a length", { operation: FLUSH, bytes: 512n }, EINVAL],
  ["a flush with a buffer", { operation: FLUSH, bytes: 0n, buffer: 4096 }, EINVAL],
  ["a zeroing with a buffer", { operation: ZEROES, buffer: 4096 }, EINVAL],
  ["a write to a medium that is protected", { operation: WRITE }, EPERM, abi.UNIT_CAN_NOT_WRITE],
  ["a trim by a client that only reads", { operation: TRIM }, EPERM, 0, abi.BLOCK_READ_ONLY],
  ["a fast zeroing that would not be", { operation: ZEROES, flags: abi.OPERATION_FLAG_FAST_ZERO }, ENOTSUP],
  ["data for a request that is not there", { operation: FETCHED }, ENOENT],
  ["a buffer given back that was not lent", { operation: RELEASE }, ENOENT],
];

for (const [name, entry, error, capabilities, flags] of wrong) {
  test(`refused: ${name}`, (t) => {
    const { d, unit, free: before } = doorScene(capabilities);
    const client = d.open(unit, flags ?? 0);
    d.host.keepLog = true;
    const asked = { operation: READ, tag: 1, client, offset: 0n, bytes: 512n, ...entry };
    d.submit(asked);
    d.host.settle();
    t.deepEqual(d.completions(), [
      { tag: asked.tag, error, kind: REFUSED, flags: 0, address: 0, bytes: 0, client: asked.client },
    ]);
    t.is(d.host.log.length, 0);
    t.deepEqual(free(d), before);
    d.host.must(d.host.core.blockClose(client));
    d.host.settle();
    t.is(d.host.unitField(unit, abi.UNIT_CONNECTIONS), 1, "nothing of it is left");
  });
}

test("refused: buffers that are not wholly in the region, on a page", (t) => {
  const { d, client } = doorScene();
  const end = d.region + (1 << 20);
  for (const [buffer, bytes, error] of [
    [d.region + 512, 512n, EINVAL],
    [d.region - 4096, 4096n, EFAULT],
    [end, 512n, EFAULT],
    [end - 4096, 8192n, EFAULT],
    [0xffff_f000, 8192n, EFAULT],
    [4096, 512n, EFAULT],
  ] as const) {
    d.submit({ operation: READ, tag: 0, client, buffer, bytes });
    d.host.settle();
    t.deepEqual(kinds(d.completions()), [[0, REFUSED, error, 0]], `${buffer}`);
  }
  d.submit({ operation: READ, tag: 0, client, buffer: end - 4096, bytes: 4096n });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, ANSWER, 0, 0]]);
  const none = doorScene(0, {}, { region: 0 });
  t.is(none.d.region, 0);
  none.d.submit({ operation: READ, tag: 0, client: none.client, buffer: 4096, bytes: 512n });
  none.d.host.settle();
  t.deepEqual(kinds(none.d.completions()), [[0, REFUSED, EFAULT, 0]]);
});

test("refused: a tag that is in use, whatever for; the request that has it goes on", (t) => {
  const { d, disk, client, free: before } = doorScene();
  let held: Scsi | undefined;
  d.host.device = (command) => {
    held = command;
    return undefined;
  };
  const read = { operation: READ, tag: 5, client, bytes: 512n };
  d.submit(read);
  d.host.settle();
  d.submit(read, { operation: RELEASE, tag: 5, client }, { operation: FETCHED, tag: 5, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [5, REFUSED, EBUSY, 0],
    [5, REFUSED, ENOENT, 0],
    [5, REFUSED, ENOENT, 0],
  ]);
  if (held === undefined) return t.fail();
  d.host.answer(held, disk.execute(d.host, held));
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[5, ANSWER, 0, LENT]]);
  d.submit(read, { operation: FETCHED, tag: 5, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [5, REFUSED, EBUSY, 0],
    [5, REFUSED, ENOENT, 0],
  ]);
  d.submit({ operation: RELEASE, tag: 5, client }, { operation: WRITE, tag: 5, client, bytes: 512n });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[5, FETCH, 0, 0]]);
  d.submit(read);
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[5, REFUSED, EBUSY, 0]]);
  d.submit({ operation: RELEASE, tag: 5, client });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[5, ANSWER, ECANCELED, 0]]);
  t.deepEqual(free(d), before);
});

test("refused: a buffer that another client gives back", (t) => {
  const { d, unit, client } = doorScene();
  const other = d.open(unit);
  d.submit({ operation: READ, tag: 0, client, bytes: 512n });
  d.host.settle();
  d.completions();
  d.submit({ operation: RELEASE, tag: 0, client: other });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [[0, REFUSED, ENOENT, 0]]);
  t.deepEqual(d.data(0, 512), Buffer.alloc(512));
});

test("a closed client's entries are refused, and never reach the unit that has its place", (t) => {
  const { d, unit, client } = doorScene(0, {}, { clients: 1 });
  const { unit: other } = d.host.unit({ blocks: BLOCKS });
  t.is(d.host.core.blockOpen(other, 0), -abi.ERROR_LIMIT);
  t.is(d.host.core.unitRemove(unit), -abi.ERROR_BUSY);
  d.submit({ operation: WRITE, tag: 0, client, bytes: 512n, buffer: d.region });
  t.is(d.host.core.blockClose(client), 0);
  t.is(d.host.core.blockClose(client), -abi.ERROR_HANDLE);
  d.host.settle();
  t.deepEqual(
    d.host.events.filter(({ kind }) => kind === abi.EVENT_BLOCK_CLOSED).map((event) => [event.unit, event.arg0]),
    [[unit, client]],
  );
  const second = d.open(other);
  t.not(second, client);
  d.submit({ operation: WRITE, tag: 1, client, bytes: 512n, buffer: d.region });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [0, REFUSED, ENODEV, 0],
    [1, REFUSED, ENODEV, 0],
  ]);
});

test("opening names what is wrong", (t) => {
  const { d, unit } = doorScene();
  const { core } = d.host;
  t.is(core.blockOpen(7, 0), -abi.ERROR_HANDLE);
  t.is(core.blockOpen(0xffff_ffff, 0), -abi.ERROR_HANDLE);
  t.is(core.blockOpen(unit, 2), -abi.ERROR_RANGE);
  t.is(core.blockOpen(core.unitAdd(), 0), -abi.ERROR_RANGE);
  t.is(core.blockClose(0), -abi.ERROR_HANDLE);
  t.is(core.blockClose(0xffff_ffff), -abi.ERROR_HANDLE);
});

test("refused: more than the largest payload that the core was told of", (t) => {
  const { d, client } = doorScene(0, { payload: 8192 });
  const read = { operation: READ, tag: 0, client };
  d.submit({ ...read, bytes: 8704n }, { ...read, bytes: 8192n });
  d.host.settle();
  t.deepEqual(kinds(d.completions()), [
    [0, REFUSED, EOVERFLOW, 0],
    [0, ANSWER, 0, LENT],
  ]);
});
