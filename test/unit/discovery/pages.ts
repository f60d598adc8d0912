// Pages as devices send them, for the tests of discovery.
import type { Candidate } from "../../../host/discovery/discover.ts";
import { UNNAMED } from "../../../host/discovery/port-names.ts";
import type { ScsiResult, ScsiTransport } from "../../../host/discovery/transport.ts";

export function vpd(page: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.of(0, page, payload.length >> 8, payload.length & 0xff, ...payload);
}

/** One designator of page 0x83. */
export function designator(
  type: number,
  association: number,
  bytes: Uint8Array | string,
  codeSet?: number,
): Uint8Array {
  const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  return Uint8Array.of(
    codeSet ?? (typeof bytes === "string" ? 2 : 1),
    (association << 4) | type,
    0,
    data.length,
    ...data,
  );
}

export function page83(...designators: Uint8Array[]): Uint8Array {
  return vpd(0x83, Buffer.concat(designators));
}

export const naa6 = (last: number): Uint8Array =>
  Uint8Array.of(0x60, 1, 0x40, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);

export function standard(vendor: string, product: string, { tpgs = 0, type = 0 } = {}): Uint8Array {
  const data = Buffer.alloc(36, 0x20);
  data.fill(0, 0, 8);
  data[0] = type;
  data[5] = tpgs << 4;
  data.write(vendor, 8);
  data.write(product, 16);
  data.write("1.0", 32);
  return data;
}

export function capacity(blocks: number, blockBytes = 512): Uint8Array {
  const data = Buffer.alloc(32);
  data.writeBigUInt64BE(BigInt(blocks - 1), 0);
  data.writeUInt32BE(blockBytes, 8);
  return data;
}

/** The data of a page, or another outcome. */
export type Step = Uint8Array | ScsiResult;

/**
 * What a device answers: by page number, "inquiry", "capacity", "capacity10", "mode", "groups". Of several answers each is
 * given once, the last one from then on. Missing: ILLEGAL REQUEST.
 */
export type Answers = Readonly<Record<string, Step | readonly Step[]>>;

/** CHECK CONDITION with sense data in fixed format; some keys bring data besides. */
export function checked(key: number, asc: number, ascq: number, data: Uint8Array = new Uint8Array(0)): ScsiResult {
  const sense = Uint8Array.of(0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0);
  return { status: 2, hostStatus: 0, sense, data };
}

/** An outcome without sense data: a status, or a host status. */
export function ended(status: number, hostStatus = 0): ScsiResult {
  return { status, hostStatus, sense: new Uint8Array(0), data: new Uint8Array(0) };
}

const ILLEGAL = checked(5, 0x20, 0);
const ATTENTION: ScsiResult = { ...ILLEGAL, sense: Uint8Array.of(0x72, 6, 0x29, 0, 0, 0, 0, 0) };

function keyOf(cdb: Uint8Array): string {
  if (cdb[0] === 0x12) return (cdb[1] ?? 0) === 0 ? "inquiry" : `0x${(cdb[2] ?? 0).toString(16)}`;
  return { 0x25: "capacity10", 0x9e: "capacity", 0x1a: "mode", 0xa3: "groups" }[cdb[0] ?? 0] ?? "other";
}

/** Devices by name. "hang" never answers. The first command to each device gets a unit attention. */
export function transportOf(devices: Readonly<Record<string, Answers | "hang">>): ScsiTransport {
  const seen = new Set<string>();
  const asked = new Map<string, number>();
  const next = (device: string, key: string, answer: Step | readonly Step[] | undefined): Step | undefined => {
    if (!Array.isArray(answer)) return answer as Step | undefined;
    const times = asked.get(`${device} ${key}`) ?? 0;
    asked.set(`${device} ${key}`, times + 1);
    return (answer as readonly Step[])[Math.min(times, answer.length - 1)];
  };
  return {
    command: (device, cdb, bytes) => {
      const answers = devices[device];
      if (answers === "hang") return new Promise(() => {});
      if (answers === undefined) return Promise.reject(new Error(`${device}: no such device`));
      if (!seen.has(device)) {
        seen.add(device);
        return Promise.resolve(ATTENTION);
      }
      const key = keyOf(cdb);
      const data = next(device, key, answers[key]);
      if (data === undefined) return Promise.resolve(ILLEGAL);
      if ("status" in data) return Promise.resolve(data);
      return Promise.resolve({ status: 0, hostStatus: 0, sense: new Uint8Array(0), data: data.subarray(0, bytes) });
    },
  };
}

/** A usual disk; `last` makes its identity. */
export function disk(last: number, more: Answers = {}): Answers {
  return {
    inquiry: standard("LIO-ORG", "lu0"),
    "0x0": vpd(0, Uint8Array.of(0x00, 0x80, 0x83, 0xb0)),
    "0x80": vpd(0x80, Buffer.from(`serial${last}`)),
    "0x83": page83(designator(3, 0, naa6(last))),
    capacity: capacity(2048),
    ...more,
  };
}

export function candidate(device: string, number: string): Candidate {
  return {
    device,
    number,
    instance: null,
    ports: UNNAMED,
    blockDevice: null,
    deviceNumber: null,
    protocol: null,
    initiatorPort: null,
    transferBytesMax: null,
    queueDepth: null,
    commandsMax: null,
  };
}
