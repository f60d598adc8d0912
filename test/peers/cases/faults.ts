// Path faults under verified load: faults are injected through the API while a peer writes, reads and compares.

import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fault, FaultRequest } from "../../../host/control/schemas/fault-schema.ts";
import { ALUA_STANDBY } from "../../../host/abi.ts";
import { until } from "../../until.ts";
import { type Case, check, type Context, same } from "../case.ts";
import { verify } from "../fio.ts";
import { run } from "../run.ts";

const SECONDS = 4;
/** Host status of a link that was lost during a command (Linux, scsi_status.h). */
const DID_TRANSPORT_DISRUPTED = 0x0e;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Repairs the array and waits until every path is usable again. */
async function heal({ daemon }: Context): Promise<void> {
  await daemon.removeFaults();
  await daemon.call("POST", "/v1/failback-all");
  await until(
    "every path is usable again",
    async () => {
      const units = await daemon.units();
      return units.every((unit) => unit.paths.every((path) => path.symbol !== "X"));
    },
    30_000,
  );
}

/** Verified load on unit 0 while `hurt` injects faults; afterwards everything is repaired. */
async function underLoad(context: Context, hurt: () => Promise<void>): Promise<void> {
  const { daemon, folder } = context;
  const before = await daemon.unit(0);
  const job = { uri: daemon.uri("0"), folder, bytes: before.bytes, depth: 16, sizes: "4k-64k", seconds: SECONDS };
  const load = verify(job);
  try {
    await pause(500);
    await hurt();
  } finally {
    await daemon.removeFaults();
  }
  const result = await load;
  same(result.errors, 0, "errors of I/O or verification");
  check(result.bytesRead > 0 && result.bytesWritten > 0, "fio did nothing");
  const after = await daemon.unit(0);
  same(after.statistics.failed, before.statistics.failed, "requests answered with an error");
  await heal(context);
}

/** One fault on each of unit 0's paths except the last, in turn. */
function inTurn(name: string, fault: Fault, when: FaultRequest["when"] = {}): Case {
  return {
    name: `verified load while path after path shows: ${name}`,
    run: (context) =>
      underLoad(context, async () => {
        const { daemon } = context;
        const paths = (await daemon.unit(0)).paths;
        for (const path of paths.slice(0, -1)) {
          await daemon.addFault({ fault, where: { path: path.number }, when });
          await pause(600);
          await daemon.removeFaults();
        }
      }),
  };
}

export const cases: readonly Case[] = [
  inTurn("a dead port", { kind: "port-down" }),
  inTurn("transport errors now and then", { kind: "error", hostStatus: DID_TRANSPORT_DISRUPTED }, { probability: 0.2 }),
  inTurn("no answer", { kind: "no-answer", execution: "on-lift" }),
  inTurn("slow answers", { kind: "slow", delayMs: 20 }),
  inTurn("flapping", { kind: "flapping", upMs: 50, downMs: 50 }),
  inTurn("BUSY", { kind: "busy", depth: 2, status: "busy" }),
  inTurn("TASK SET FULL", { kind: "busy", depth: 2, status: "task-set-full" }),
  inTurn("unit attention", { kind: "unit-attention", every: 7 }),
  inTurn("sense data that makes no sense", { kind: "corrupt-sense" }),
  inTurn("standby", { kind: "alua", state: ALUA_STANDBY }),
  {
    name: "verified load while a controller dies and comes back, and the other one after it",
    run: (context) =>
      underLoad(context, async () => {
        const { daemon } = context;
        await daemon.addFault({ fault: { kind: "port-down" }, where: { controller: 0 } });
        await until("the paths of the dead controller are shown as failed", async () =>
          (await daemon.unit(0)).paths.some((path) => path.symbol === "X"),
        );
        await pause(700);
        await heal(context);
        await daemon.addFault({ fault: { kind: "port-down" }, where: { controller: 1 } });
        await pause(700);
      }),
  },
  {
    name: "verified load while every path is dead for a second: it waits, then goes on",
    run: (context) =>
      underLoad(context, async () => {
        const { daemon } = context;
        await daemon.addFault({ fault: { kind: "port-down" }, where: { controller: 0 } });
        await daemon.addFault({ fault: { kind: "port-down" }, where: { controller: 1 } });
        await pause(1000);
        await heal(context);
      }),
  },
  {
    name: "nbdcopy and qemu-img compare while a controller dies",
    run: async (context) => {
      const { daemon, folder } = context;
      const source = join(folder, "source.raw");
      const image = Buffer.alloc((await daemon.unit(0)).bytes);
      randomFillSync(image);
      writeFileSync(source, image);
      const copying = run("nbdcopy", ["--connections=2", source, daemon.uri("0")]);
      await pause(20);
      await daemon.addFault({ fault: { kind: "port-down" }, where: { controller: 0 } });
      await copying;
      const comparing = run("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, daemon.uri("0")]);
      await pause(20);
      await daemon.removeFaults();
      await comparing;
      await heal(context);
    },
  },
  {
    name: "a medium error is the device's answer: it reaches the client, and no path fails",
    run: async (context) => {
      const { daemon } = context;
      const paths = (await daemon.unit(0)).paths;
      // MEDIUM ERROR, UNRECOVERED READ ERROR on every path, so that it is the unit's error and not a path's.
      const fault: Fault = { kind: "error", status: 2, senseKey: 3, asc: 0x11, ascq: 0 };
      for (const path of paths)
        await daemon.addFault({ fault, where: { path: path.number }, when: { commands: "io" } });
      const { stdout, stderr } = await run("qemu-io", ["-f", "raw", "-c", "read 0 4k", daemon.uri("0")], {
        statuses: [0, 1],
      });
      check(/Input\/output error/.test(stdout + stderr), stdout + stderr);
      check(
        (await daemon.unit(0)).paths.every((path) => path.symbol !== "X"),
        "a path failed",
      );
      await heal(context);
    },
  },
];
