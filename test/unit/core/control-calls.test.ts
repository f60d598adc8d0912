// What control calls take and what they refuse. A call that is refused changes nothing: not a byte of the records.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";

const NONE = 0xffff_ffffn;
const DAY_MS = 86_400_000n;
const YEAR_S = 31_536_000n;
const HANDLE = -abi.ERROR_HANDLE;
const RANGE = -abi.ERROR_RANGE;

/** A property, what it takes, and what it refuses. */
type Property = readonly [name: string, property: number, taken: readonly bigint[], refused: readonly bigint[]];

const TIME: readonly bigint[] = [0n, 1n, DAY_MS];
const TOO_LONG: readonly bigint[] = [DAY_MS + 1n, NONE];
const SWITCH: readonly [readonly bigint[], readonly bigint[]] = [
  [1n, 0n],
  [2n, NONE],
];

const unitProperties: readonly Property[] = [
  ["block bytes", abi.UNIT_SET_BLOCK_BYTES, [4096n, 512n], [0n, 256n, 513n, 1024n, 8192n]],
  ["blocks", abi.UNIT_SET_BLOCKS, [0n, 1n, 1n << 50n], [(1n << 50n) + 1n]],
  ["transfer", abi.UNIT_SET_TRANSFER_BLOCKS_MAX, [0n, 8n, NONE], [1n, 7n]],
  ["capabilities", abi.UNIT_SET_CAPABILITIES, [0n, 1n, 0n], []],
  ["unmap", abi.UNIT_SET_UNMAP_BLOCKS_MAX, [0n, 1n, NONE], []],
  ["WRITE SAME", abi.UNIT_SET_WRITE_SAME_BLOCKS_MAX, [0n, 1n, NONE], []],
  ["policy", abi.UNIT_SET_POLICY, [1n, BigInt(abi.POLICY_COUNT - 1), 0n], [BigInt(abi.POLICY_COUNT), NONE]],
  ["I/O timeout", abi.UNIT_SET_IO_TIMEOUT_MS, [1n, DAY_MS], [0n, ...TOO_LONG]],
  ["no-path timeout", abi.UNIT_SET_NO_PATH_TIMEOUT_MS, TIME, TOO_LONG],
  ["shortest stall", abi.UNIT_SET_STALL_MIN_MS, TIME, TOO_LONG],
  ["longest stall", abi.UNIT_SET_STALL_MAX_MS, TIME, TOO_LONG],
  ["orphan reset", abi.UNIT_SET_ORPHAN_RESET_MS, TIME, TOO_LONG],
  ["lost reset", abi.UNIT_SET_LOST_RESET_MS, TIME, TOO_LONG],
  ["command timeout", abi.UNIT_SET_COMMAND_TIMEOUT_MS, TIME, TOO_LONG],
  ["explicit ALUA", abi.UNIT_SET_ALUA_EXPLICIT, ...SWITCH],
  ["hedge budget", abi.UNIT_SET_HEDGE_BUDGET, [1n, 100n, 0n], [NONE]],
  ["released", abi.UNIT_SET_RELEASED, ...SWITCH],
  ["patrol by READ", abi.UNIT_SET_PATROL_READ, ...SWITCH],
  ["statistics anew", abi.UNIT_SET_STATISTICS_RESET, [0n, NONE], []],
  ["leftovers", abi.UNIT_SET_LEFTOVERS, ...SWITCH],
  ["registration", abi.UNIT_SET_REGISTRATION, [1n, 2n, 0n], [3n, NONE]],
  ["preempted", abi.UNIT_SET_PREEMPTED, ...SWITCH],
  ["shared", abi.UNIT_SET_SHARED, ...SWITCH],
  ["registrants", abi.UNIT_SET_REGISTRANTS, ...SWITCH],
];

const pathProperties: readonly Property[] = [
  ["priority", abi.PATH_SET_PRIORITY, [254n, 2n], [0n, 255n, NONE]],
  ["enabled", abi.PATH_SET_ENABLED, [0n, 1n], [2n, NONE]],
  ["depth", abi.PATH_SET_DEPTH, [1n, 4096n], [0n, 4097n, NONE]],
  ["weight", abi.PATH_SET_WEIGHT, [1n, 65535n], [0n, 65536n, NONE]],
  ["ALUA state", abi.PATH_SET_ALUA, [0n, BigInt(abi.ALUA_UNKNOWN)], [BigInt(abi.ALUA_UNKNOWN) + 1n, NONE]],
  ["group", abi.PATH_SET_TARGET_PORT_GROUP, [0n, 0xffffn], []],
  ["initiator port", abi.PATH_SET_INITIATOR_PORT, [0n, NONE], []],
  ["target port", abi.PATH_SET_TARGET_PORT, [0n, NONE], []],
  ["controller", abi.PATH_SET_CONTROLLER, [0n, NONE], []],
  ["failed", abi.PATH_SET_FAILED, [1n, 0n], [2n, NONE]],
  ["marginal", abi.PATH_SET_CLEAR_MARGINAL, [0n], []],
  ["faults", abi.PATH_SET_FAULTS, [0n, 16n], [17n, NONE]],
  ["unverified", abi.PATH_SET_UNVERIFIED, [0n], []],
  ["registered", abi.PATH_SET_REGISTERED, [0n], []],
];

const modes: readonly Property[] = [
  ["failback", abi.MODE_FAILBACK, ...SWITCH],
  ["cluster", abi.MODE_CLUSTER, ...SWITCH],
  ["patrol", abi.MODE_PATROL, [0n, 1n, 2n, 3n], [4n, NONE]],
  ["interval", abi.MODE_PATROL_INTERVAL_MS, [1n, 3_600_000n], [0n, 3_600_001n]],
  ["threshold", abi.MODE_PATROL_THRESHOLD_MS, [1n, 3_600_000n], [0n, 3_600_001n]],
  ["patrol timeout", abi.MODE_PATROL_TIMEOUT_MS, [1n, 3_600_000n], [0n, 3_600_001n]],
  ["marginal", abi.MODE_MARGINAL, ...SWITCH],
  ["marginal count", abi.MODE_MARGINAL_COUNT, [1n, 16n], [0n, 17n, YEAR_S + 1n]],
  ["marginal window", abi.MODE_MARGINAL_WINDOW_S, [1n, YEAR_S], [0n, YEAR_S + 1n]],
  ["clean period", abi.MODE_MARGINAL_CLEAN_S, [1n, YEAR_S, 0n], [YEAR_S + 1n]],
];

function setup(): { host: Host; unit: number; path: number; records: () => string } {
  const host = new Host();
  const { unit, paths } = host.unit({ paths: 2 });
  host.settle();
  const records = (): string =>
    host.bytes(host.core.unitTable(), abi.UNIT_BYTES * 2).toString("hex") +
    host.bytes(host.core.pathTable(), abi.PATH_BYTES * 4).toString("hex");
  return { host, unit, path: paths[0] ?? -1, records };
}

for (const [kind, properties] of [
  ["unit", unitProperties],
  ["path", pathProperties],
  ["mode", modes],
] as const) {
  for (const [name, property, taken, refused] of properties) {
    test(`${kind}, ${name}: what is out of range is refused and changes nothing`, (t) => {
      const { host, unit, path, records } = setup();
      const set = (value: bigint): number =>
        kind === "unit"
          ? host.core.unitSet(unit, property, value)
          : kind === "path"
            ? host.core.pathSet(path, property, value)
            : host.core.modeSet(property, value);
      for (const value of taken) t.is(set(value), 0, `${value}`);
      host.settle();
      const before = records();
      const tooLarge = kind === "unit" && property === abi.UNIT_SET_BLOCKS ? [] : [NONE + 1n];
      for (const value of [-1n, ...(kind === "mode" ? [] : tooLarge), ...refused]) t.is(set(value), RANGE, `${value}`);
      t.is(records(), before);
      t.is(host.events.filter(({ kind: told }) => told === abi.EVENT_NO_PATH_FAILED).length, 0);
    });
  }
}

test("handles and properties that are none", (t) => {
  const { host, unit, path, records } = setup();
  const before = records();
  for (const other of [unit + 1, 7, 8, 0xffff_ffff]) {
    t.is(host.core.unitSet(other, abi.UNIT_SET_BLOCKS, 1n), HANDLE);
    t.is(host.core.unitIdentity(other, 0), HANDLE);
    t.is(host.core.unitRemove(other), HANDLE);
    t.is(host.core.pathAdd(other, 0, 9, 9, 1, 8), HANDLE);
    t.is(host.core.connectionAdd(9, other, 0, 0), HANDLE);
  }
  for (const other of [path + 2, 31, 32, 0xffff_ffff]) {
    t.is(host.core.pathSet(other, abi.PATH_SET_ENABLED, 1n), HANDLE);
    t.is(host.core.pathRemove(other), HANDLE);
    t.is(host.core.pathSwap(path, other), HANDLE);
    t.is(host.core.pathSwap(other, path), HANDLE);
  }
  for (const other of [15, 16, 17, 0xffff_ffff]) t.is(host.core.connectionClose(other), HANDLE);
  t.is(host.core.unitSet(unit, 99, 1n), -abi.ERROR_PROPERTY);
  t.is(host.core.pathSet(path, 99, 1n), -abi.ERROR_PROPERTY);
  t.is(host.core.modeSet(99, 1n), -abi.ERROR_PROPERTY);
  t.is(records(), before);
});

test("a path: its port, its switch, its priority and its depth have to be possible, and its priority free", (t) => {
  const { host, unit, path, records } = setup();
  const before = records();
  for (const [arrayPort, priority, enabled, depth] of [
    [2, 9, 1, 8],
    [0, 0, 1, 8],
    [0, 255, 1, 8],
    [0, 9, 2, 8],
    [0, 9, 1, 0],
    [0, 9, 1, 4097],
  ] as const) {
    t.is(host.core.pathAdd(unit, arrayPort, 9, priority, enabled, depth), RANGE);
  }
  t.is(host.core.pathAdd(unit, 0, 9, 2, 1, 8), -abi.ERROR_PRIORITY_IN_USE);
  t.is(host.core.pathSet(path, abi.PATH_SET_PRIORITY, 1n), -abi.ERROR_PRIORITY_IN_USE);
  t.is(host.core.pathSet(path, abi.PATH_SET_FAILED, 0n), -abi.ERROR_NOT_FAILED);
  t.is(records(), before);
  t.is(host.core.pathSet(path, abi.PATH_SET_PRIORITY, 2n), 0, "its own");
  const third = host.core.pathAdd(unit, 1, 9, 254, 0, 4096);
  t.is(third, path + 2);
  t.is(host.flags(third) & abi.PATH_FLAG_ENABLED, 0);
  const other = host.core.unitAdd();
  t.is(host.core.pathSwap(path, host.must(host.core.pathAdd(other, 0, 9, 2, 1, 8))), RANGE, "of two units");
});

test("tables that are full say so, and a place that is given back is taken again", (t) => {
  const host = new Host({ units: 2, paths: 33 });
  const one = host.must(host.core.unitAdd());
  const two = host.must(host.core.unitAdd());
  t.is(host.core.unitAdd(), -abi.ERROR_LIMIT);
  const paths = Array.from({ length: 32 }, (_, at) => host.must(host.core.pathAdd(one, 0, at, at + 1, 1, 8)));
  t.is(host.core.pathAdd(one, 0, 32, 33, 1, 8), -abi.ERROR_LIMIT, "32 of a unit");
  host.must(host.core.pathAdd(two, 0, 32, 1, 1, 8));
  t.is(host.core.pathAdd(two, 0, 33, 2, 1, 8), -abi.ERROR_LIMIT, "all there are");
  host.settle();
  t.is(host.core.unitRemove(one), -abi.ERROR_BUSY, "it has paths");
  t.is(host.core.pathRemove(paths[5] ?? -1), 0);
  host.settle();
  for (const command of host.outstanding.splice(0)) host.answer(command, {});
  host.settle();
  t.is(host.core.pathAdd(two, 0, 33, 2, 1, 8), paths[5] ?? -1);
});

test("an identity: as long as one can be, and not shorter", (t) => {
  const { host, unit } = setup();
  for (const bytes of [1, 2, 257, 0xffff_ffff]) t.is(host.core.unitIdentity(unit, bytes), RANGE, `${bytes}`);
  for (const bytes of [3, 256, 0]) t.is(host.core.unitIdentity(unit, bytes), 0, `${bytes}`);
});

test("a connection: known flags, a unit of known block size, no more bytes than there is room, and a free place", (t) => {
  const { host, unit } = setup();
  const fresh = host.must(host.core.unitAdd());
  t.is(host.core.connectionAdd(9, fresh, 0, 0), RANGE, "nobody has told its block size");
  for (const flags of [1 << 30, 0xffff_ffff]) t.is(host.core.connectionAdd(9, unit, flags, 0), RANGE, `flags ${flags}`);
  t.is(host.core.connectionAdd(9, unit, 0, 0xffff_ffff), RANGE);
  const connections = Array.from({ length: 16 }, () => host.connect(unit).handle);
  t.deepEqual(
    connections.toSorted((a, b) => a - b),
    Array.from({ length: 16 }, (_, at) => at),
  );
  t.is(host.core.connectionAdd(99, unit, 0, 0), -abi.ERROR_LIMIT);
  t.is(host.core.unitRemove(unit), -abi.ERROR_BUSY);
  t.is(host.core.connectionClose(3), 0);
  host.settle();
  t.is(host.core.connectionClose(3), HANDLE, "it is closed");
  t.is(host.connect(unit).handle, 3);
});

test("a unit: its block size stays while requests are under way, and its transfer limit needs one", (t) => {
  const { host, unit } = setup();
  const fresh = host.must(host.core.unitAdd());
  t.is(host.core.unitSet(fresh, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 256n), RANGE, "nobody has told its block size");
  host.device = () => undefined;
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 4096));
  host.settle();
  t.is(host.core.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 4096n), -abi.ERROR_BUSY);
  t.is(host.core.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 512n), 0, "the same");
  t.is(host.unitField(unit, abi.UNIT_BLOCK_BYTES), 512);
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.settle();
  t.is(replies(client.received, new Map([[1n, 4096]]))[0]?.error, 0);
  t.is(host.core.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, 4096n), 0);
});

test("a handle behind the last connection is refused whatever is in the memory there", (t) => {
  const host = new Host({ connections: 2 });
  const { unit } = host.unit();
  const [client, other] = [host.connect(unit), host.connect(unit)];
  // What follows are the addresses of replies: these ones are large.
  host.device = ({ check }) => (check ? {} : undefined);
  other.send(request(READ, 1n, 0n, 24 << 20));
  host.settle();
  for (let i = 0n; i < 100n; i++) client.send(request(READ, i, 0n, 4096));
  host.settle();
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.settle();
  t.is(host.core.connectionClose(2), HANDLE);
  t.is(host.core.connectionClose(0), 0);
});

test("a connection may bring as much as scratch holds, and not a byte more", (t) => {
  const host = new Host();
  const { unit } = host.unit();
  const bytes = abi.CONNECTION_RECEIVE_BYTES;
  const client = host.connect(unit, 0, Buffer.concat([request(WRITE, 1n, 0n, bytes - 28), Buffer.alloc(bytes - 28)]));
  host.settle();
  t.is(replies(client.received)[0]?.error, 22, "these are not whole blocks");
  t.is(host.core.connectionAdd(9, unit, 0, bytes + 1), RANGE);
});
