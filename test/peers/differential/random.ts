// Scripts from a seed: negotiations of valid or nearly valid options, and sessions of valid, invalid and truncated requests.
// Behaviour that depends on the server alone (data left by a trim, the order of overlapping requests) is not tested.

import { infoData, metaData, option } from "../../unit/export/client.ts";
import * as N from "../raw.ts";
import { asks, exportName, flags, leaves, requests, type Script, silent, type Step, together } from "./script.ts";
import { EXPORT, MEDIUM_BYTES } from "./servers.ts";

type Random = (below: number) => number;

const pick = <T>(next: Random, from: readonly T[]): T => {
  const one = from[next(from.length)];
  if (one === undefined) throw new Error("nothing to choose from");
  return one;
};

/** Truncated somewhere, or whole. */
const cut = (next: Random, data: Buffer): Buffer => (next(4) === 0 ? data.subarray(0, next(data.length)) : data);

const QUERIES = ["base:allocation", "base:", "base:allocations", "qemu:dirty", "", "x"];

function anOption(next: Random): Step {
  const code = pick(next, [0, 3, 4, 5, 6, 6, 8, 9, 10, 10, 12, 77]);
  if (code === 6) {
    const kinds = Array.from({ length: next(4) }, () => pick(next, [0, 1, 2, 4, 5]));
    return next(3) === 0 ? asks(code, infoData("another", kinds)) : asks(code, cut(next, infoData(EXPORT, kinds)));
  }
  if (code === 9 || code === 10) {
    const queries = Array.from({ length: next(3) }, () => pick(next, QUERIES));
    return asks(code, cut(next, metaData(EXPORT, queries)));
  }
  return asks(code, next(3) === 0 ? Buffer.alloc(1 + next(20), next(256)) : Buffer.alloc(0));
}

function negotiation(next: Random, name: string): Script {
  const steps = Array.from({ length: next(6) }, () => anOption(next));
  const end = pick<Step[]>(next, [
    [asks(2)],
    [exportName(EXPORT, 0), requests({ type: N.READ, length: 512 })],
    [exportName("another", 0)],
    [silent(option(7, infoData(EXPORT)).subarray(0, next(24)))],
    [asks(7, infoData(EXPORT, [1])), requests({ type: N.BLOCK_STATUS, length: 512 })],
    [],
  ]);
  return { name, agrees: false, isEager: next(2) === 1, steps: [flags(3), ...steps, ...end] };
}

const TYPES = [N.READ, N.READ, N.WRITE, N.WRITE, N.FLUSH, N.TRIM, N.CACHE, N.WRITE_ZEROES, N.BLOCK_STATUS, 8, 77];
const FLAGS = [0, 0, 0, 0, N.FUA, N.NO_HOLE, N.DF, 8, N.FUA | N.NO_HOLE, 64, 0x8000];
const LENGTHS = [512, 512, 1024, 4096, 65_536, 1 << 20];

/** A request, followed by what makes its range the same everywhere again. */
function aRequest(next: Random, cookie: bigint, unaligned: boolean): Step[] {
  const type = pick(next, TYPES);
  if (type === N.FLUSH) return [requests({ type, cookie })];
  const [length, place] = [pick(next, LENGTHS), next(MEDIUM_BYTES / 512) * 512];
  const isOut = next(12) === 0;
  const offset = isOut ? MEDIUM_BYTES - 512 * next(3) : Math.min(place, MEDIUM_BYTES - length);
  const [begin, less] = unaligned && !isOut ? [next(400), next(100)] : [0, 0];
  const c = { type, cookie, offset: BigInt(offset + begin), length: length - begin - less, flags: pick(next, FLAGS) };
  const step = requests(c, Buffer.alloc(type === N.WRITE ? c.length : 0, next(256)));
  if (type !== N.TRIM || isOut) return [step];
  const { flags: _, ...zeroes } = { ...c, type: N.WRITE_ZEROES };
  return [step, requests(zeroes)];
}

function session(next: Random, name: string): Script {
  const [structured, agrees] = [next(2) === 1, next(2) === 1];
  const selects = structured && next(2) === 1;
  const steps: Step[] = [flags(3)];
  if (structured) steps.push(asks(8));
  if (selects) steps.push(asks(10, metaData(EXPORT, ["base:allocation"])));
  steps.push(asks(7, infoData(EXPORT, agrees ? [3] : [])));
  for (let i = 4 + next(16); i > 0; i--) steps.push(...aRequest(next, BigInt(next(1 << 30)), !agrees && next(3) === 0));
  const reads = Array.from({ length: 1 + next(6) }, (_, i) =>
    requests({ type: N.READ, cookie: BigInt(i), offset: BigInt(next(4096)) * 512n, length: pick(next, LENGTHS) }),
  );
  steps.push(together(...reads));
  const end = pick<Step[]>(next, [
    [leaves({ type: N.DISCONNECT })],
    [silent(N.command({ type: N.READ, length: 512 }).subarray(0, next(28)))],
    [silent(Buffer.concat([N.command({ type: N.WRITE, length: 4096 }), Buffer.alloc(next(4096))]))],
    [requests({ type: N.READ, length: 512, magic: next(1 << 30) })],
    [],
  ]);
  return { name, agrees, steps: [...steps, ...end] };
}

/** Script number `index` of a seed. */
export function randomScript(next: Random, name: string): Script {
  return next(3) === 0 ? negotiation(next, name) : session(next, name);
}
