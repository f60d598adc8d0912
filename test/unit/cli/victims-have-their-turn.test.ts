// The real daemon over real sockets: large requests of one client, however many, leave another one's small reads their turn.
// The array has its write cache, where zeroing once took longest.

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import test from "ava";
import { NbdClient } from "../../../host/cli/demo/nbd-client.ts";
import { READ, TRIM, WRITE, WRITE_ZEROES, request } from "../core/fixtures/nbd-client.ts";
import { infoData, option, u32 } from "../export/client.ts";
import { RealDaemon } from "./daemon.ts";

const MIB = 1 << 20;
const LARGE_BYTES = 32 * MIB;
const UNIT_BYTES = 1024 * MIB;
const READS = 200;
/** Made once: whoever makes 32 MiB for each write measures that, since the victim's clock runs in the same thread. */
const PAYLOAD = Buffer.alloc(LARGE_BYTES, 1);

/** A client that keeps `depth` large requests under way, until it is stopped. */
class Attacker {
  readonly #socket: Socket;
  readonly #kind: number;
  #sent = 0;
  #received = 0;
  answered = 0;

  private constructor(socket: Socket, kind: number) {
    this.#socket = socket;
    this.#kind = kind;
  }

  static async start(path: string, name: string, kind: number, depth: number): Promise<Attacker> {
    const socket = createConnection(path);
    await once(socket, "connect");
    socket.write(Buffer.concat([u32(3), option(7, infoData(name, [3]))]));
    const attacker = new Attacker(socket, kind);
    let greeting = Buffer.alloc(0);
    // The greeting, size and flags, block sizes, and the acknowledgement.
    while (greeting.length < 18 + 32 + 34 + 20) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      greeting = Buffer.concat([greeting, chunk]);
    }
    socket.on("data", (chunk: Buffer) => attacker.#took(chunk.length));
    socket.on("error", () => undefined);
    for (let i = 0; i < depth; i++) attacker.#send();
    return attacker;
  }

  #send(): void {
    const offset = BigInt((this.#sent * LARGE_BYTES) % UNIT_BYTES);
    this.#socket.write(request(this.#kind, BigInt(this.#sent), offset, LARGE_BYTES));
    if (this.#kind === WRITE) this.#socket.write(PAYLOAD);
    this.#sent++;
  }

  #took(bytes: number): void {
    const reply = 16 + (this.#kind === READ ? LARGE_BYTES : 0);
    for (this.#received += bytes; this.#received >= reply; this.#received -= reply) {
      this.answered++;
      this.#send();
    }
  }

  stop(): void {
    this.#socket.destroy();
  }
}

/** How long each of so many reads takes, one after the other, sorted. */
async function waits(victim: NbdClient): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < READS; i++) {
    const asked = performance.now();
    await victim.read(4096 * i, 4096);
    found.push(performance.now() - asked);
  }
  return found.toSorted((a, b) => a - b);
}

/** The ninth tenth: the few beyond it are what other tests on the same processors cost. */
const late = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.9)] ?? Number.NaN;

/**
 * Times as long as beside the same attack on a stranger's daemon, which takes the same from the machine and nothing else. A reader
 * that has to wait for all that was sent before it waits for thousands of times as long.
 */
const RATIO_MAX = 400;
const ARRAY = "[array]\nunits = 2\npaths = 4\nunit_mib = 1024\nwrite_cache = true\n";

for (const [title, kind, depth, victims] of [
  ["zeroings", WRITE_ZEROES, 64, "lu0"],
  ["zeroings", WRITE_ZEROES, 64, "lu1"],
  ["trims", TRIM, 64, "lu0"],
  ["reads", READ, 16, "lu0"],
  ["writes", WRITE, 4, "lu0"],
] as const) {
  test.serial(`${depth} ${title} of 32 MiB at a time: a reader of ${victims} has its turn beside them`, async (t) => {
    await using daemon = await RealDaemon.start(ARRAY);
    await using stranger = await RealDaemon.start(ARRAY);
    const victim = await NbdClient.connect(daemon.nbdSocket, victims);
    await waits(victim);
    const beside = async ({ nbdSocket }: RealDaemon): Promise<number> => {
      const attacker = await Attacker.start(nbdSocket, "lu0", kind, depth);
      while (attacker.answered < 1) await victim.read(0, 4096);
      const found = await waits(victim);
      attacker.stop();
      return late(found);
    };
    const unharmed = await beside(stranger);
    const ratio = (await beside(daemon)) / unharmed;
    victim.close();
    t.log(`${ratio.toFixed(1)} times as long as beside a stranger's daemon`);
    t.true(ratio < RATIO_MAX, `${ratio} times as long as beside a stranger's daemon`);
  });
}
