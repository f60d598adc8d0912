// A process that serves /dev/ublkbN (or /dev/nbdN) over the sg paths of the array: the reactor and the export without control, which a
// virtual machine starts in a fraction of the time. It may be killed and started again.
//
//   node test/rig/lib/ublk-server.ts INDEX MIB [--resume | --nbd] [--emulated] [--timeout SECONDS] [--user-copy]
//
// Prints `serves /dev/ublkbN`; SIGTERM ends it, SIGUSR2 detaches first, SIGUSR1 lets the unit grow to 64 MiB, SIGHUP ends its reactor's thread and
// lets the next one take the device over: `serves /dev/ublkbN again`. With --emulated an array in the process stands in for the paths.

import { parseArgs } from "node:util";
import * as abi from "../../../host/abi.ts";
import { KernelAttachments } from "../../../host/export/attach.ts";
import { UblkAttachments } from "../../../host/export/ublk.ts";
import { ReactorClient } from "../../../host/reactor/reactor-client.ts";
import { ReactorThreads } from "../../../host/reactor/reactor-threads.ts";
import { scsiDevices } from "./scsi.ts";

const BLOCK_BYTES = 512;
const WHOLE_BYTES = 64 << 20;
const DEPTH = 32;
const LIMITS = { physicalBytes: 4096, minimumBytes: 4096, optimalBytes: 65_536, discardGranularity: 0 };

const { values: how, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    resume: { type: "boolean" },
    nbd: { type: "boolean" },
    emulated: { type: "boolean" },
    timeout: { type: "string" },
    "user-copy": { type: "boolean" },
  },
});
const [index = 0, mib = 64] = positionals.map(Number);
const bytes = mib * 2 ** 20;

const capabilities = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME;
const isNbd = how.nbd === true;

interface Port {
  readonly queue: "native" | "array";
  readonly port: number;
}

async function ports(reactor: ReactorClient): Promise<Port[]> {
  if (how.emulated === true) return (await reactor.arrayPorts()).map(({ port }) => ({ queue: "array", port }));
  const opened = scsiDevices().map(async ({ sg }) => await reactor.openPort(sg, DEPTH));
  return (await Promise.all(opened)).map((port) => ({ queue: "native", port }));
}

interface Served {
  readonly threads: ReactorThreads;
  readonly reactor: ReactorClient;
  readonly unit: number;
  readonly devices: KernelAttachments | UblkAttachments;
  readonly ublk: UblkAttachments;
}

/** Starts a reactor whose unit is the device, or takes that over. */
async function serve(resumes: boolean): Promise<Served> {
  const threads = new ReactorThreads({
    arrays: how.emulated === true ? [{ units: 1, unitBytes: bytes, paths: 4 }] : [],
    limits: { units: 1, paths: 32 },
    door: { clients: 4, tags: 512, regionBytes: 0 },
  });
  const reactor = await ReactorClient.over(threads);
  const unit = await reactor.unitAdd();
  await reactor.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, BLOCK_BYTES);
  await reactor.unitSet(unit, abi.UNIT_SET_BLOCKS, bytes / BLOCK_BYTES);
  await reactor.unitSet(unit, abi.UNIT_SET_CAPABILITIES, capabilities);
  if (resumes) await reactor.unitSet(unit, abi.UNIT_SET_LEFTOVERS, 1);
  for (const [place, port] of (await ports(reactor)).entries()) {
    await reactor.pathAdd({ unit, ...port, priority: place + 1, enabled: true, depth: DEPTH });
  }
  const ublk = new UblkAttachments(
    {
      open: (handle, flags, device) => reactor.ublkOpen(handle, flags, device),
      close: (client) => reactor.ublkClose(client),
    },
    (problem) => console.log(problem),
  );
  reactor.onEvent((events) => {
    for (const { kind, arg0 } of events) if (kind === abi.EVENT_BLOCK_CLOSED) ublk.clientClosed(arg0);
  });
  reactor.onFailure((error) => {
    if (isReplaced) return;
    console.log(`the reactor failed: ${error.message}`);
    process.exit(1);
  });
  const sockets = new KernelAttachments((descriptor, handle, flags) =>
    reactor.addConnection(descriptor, handle, flags),
  );
  const entry = { unit, number: 0, identity: "naa.1", bytes: BigInt(bytes), blockBytes: BLOCK_BYTES, capabilities };
  if (isNbd) await sockets.attach(entry, { device: `/dev/nbd${index}` });
  else if (!resumes || (await ublk.resume(entry, index)) === undefined) await ublk.attach(entry, index, manner);
  // As control does when the kernel has no command of the killed process left.
  if (resumes) await reactor.unitSet(unit, abi.UNIT_SET_LEFTOVERS, 0);
  return { threads, reactor, unit, devices: isNbd ? sockets : ublk, ublk };
}

const manner = {
  limits: LIMITS,
  deadConnectionTimeoutS: Number(how.timeout ?? 300),
  userCopy: how["user-copy"] === true,
};
let isReplaced = false;
let served = await serve(how.resume === true);

process.on("SIGUSR2", () => {
  void served.devices.detach(index).then(
    () => console.log("detached"),
    (error: unknown) => console.log(`not detached: ${String(error)}`),
  );
});
// The unit shows all of its blocks, as after a rescan that finds it grown.
process.on("SIGUSR1", () => {
  const grown = WHOLE_BYTES;
  const { reactor, unit, ublk } = served;
  void reactor
    .unitSet(unit, abi.UNIT_SET_BLOCKS, grown / BLOCK_BYTES)
    .then(() => ublk.resize(unit, BigInt(grown)))
    .then(
      () => console.log("has grown"),
      (error: unknown) => console.log(`has not grown: ${String(error)}`),
    );
});
process.on("SIGHUP", () => {
  isReplaced = true;
  served.threads.terminate();
  void served.reactor.stop().then(async () => {
    served = await serve(true);
    isReplaced = false;
    console.log(`serves /dev/ublkb${index} again`);
  });
});
process.on("SIGTERM", () => {
  served.ublk.stop();
  void served.reactor.stop().then(() => process.exit(0));
});
// Last: whoever reads it may send a signal at once.
console.log(`serves /dev/${isNbd ? "nbd" : "ublkb"}${index}`);
