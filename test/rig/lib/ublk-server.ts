// A process that serves /dev/ublkbN (or /dev/nbdN) over the sg paths of the array: the reactor and the export without control, which a
// virtual machine starts in a fraction of the time. It may be killed and started again.
//
//   node test/rig/lib/ublk-server.ts INDEX MIB [--resume | --nbd] [--emulated] [--timeout SECONDS] [--user-copy]
//
// Prints `serves /dev/ublkbN`; SIGTERM ends it, SIGUSR2 detaches first, SIGUSR1 lets the unit grow to 64 MiB. With --emulated an array in the process stands in for the paths.

import { parseArgs } from "node:util";
import * as abi from "../../../host/abi.ts";
import { KernelAttachments } from "../../../host/export/attach.ts";
import { UblkAttachments } from "../../../host/export/ublk.ts";
import { ReactorClient } from "../../../host/reactor/reactor-client.ts";
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

const reactor = await ReactorClient.start({
  arrays: how.emulated === true ? [{ units: 1, unitBytes: bytes, paths: 4 }] : [],
  limits: { units: 1, paths: 32 },
  door: { clients: 4, tags: 512, regionBytes: 0 },
});
const unit = await reactor.unitAdd();
const capabilities = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME;
await reactor.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, BLOCK_BYTES);
await reactor.unitSet(unit, abi.UNIT_SET_BLOCKS, bytes / BLOCK_BYTES);
await reactor.unitSet(unit, abi.UNIT_SET_CAPABILITIES, capabilities);
if (how.resume === true) await reactor.unitSet(unit, abi.UNIT_SET_LEFTOVERS, 1);

interface Port {
  readonly queue: "native" | "array";
  readonly port: number;
}
async function ports(): Promise<Port[]> {
  if (how.emulated === true) return (await reactor.arrayPorts()).map(({ port }) => ({ queue: "array", port }));
  const opened = scsiDevices().map(async ({ sg }) => await reactor.openPort(sg, DEPTH));
  return (await Promise.all(opened)).map((port) => ({ queue: "native", port }));
}
for (const [place, port] of (await ports()).entries()) {
  await reactor.pathAdd({ unit, ...port, priority: place + 1, enabled: true, depth: DEPTH });
}

const attachments = new UblkAttachments(
  {
    open: (handle, flags, device) => reactor.ublkOpen(handle, flags, device),
    close: (client) => reactor.ublkClose(client),
  },
  (problem) => console.log(problem),
);
reactor.onEvent((events) => {
  for (const { kind, arg0 } of events) if (kind === abi.EVENT_BLOCK_CLOSED) attachments.clientClosed(arg0);
});
reactor.onFailure((error) => {
  console.log(`the reactor failed: ${error.message}`);
  process.exit(1);
});

const entry = { unit, number: 0, identity: "naa.1", bytes: BigInt(bytes), blockBytes: BLOCK_BYTES, capabilities };
const manner = {
  limits: LIMITS,
  deadConnectionTimeoutS: Number(how.timeout ?? 300),
  userCopy: how["user-copy"] === true,
};
const attach = async (): Promise<void> => void (await attachments.attach(entry, index, manner));
const sockets = new KernelAttachments((descriptor, handle, flags) => reactor.addConnection(descriptor, handle, flags));
const isNbd = how.nbd === true;
if (how.resume === true) {
  if ((await attachments.resume(entry, index)) === undefined) await attach();
  // As control does when the kernel has no command of the killed process left.
  await reactor.unitSet(unit, abi.UNIT_SET_LEFTOVERS, 0);
} else if (isNbd) await sockets.attach(entry, { device: `/dev/nbd${index}` });
else await attach();

process.on("SIGUSR2", () => {
  void (isNbd ? sockets : attachments).detach(index).then(
    () => console.log("detached"),
    (error: unknown) => console.log(`not detached: ${String(error)}`),
  );
});
// The unit shows all of its blocks, as after a rescan that finds it grown.
process.on("SIGUSR1", () => {
  const grown = WHOLE_BYTES;
  void reactor
    .unitSet(unit, abi.UNIT_SET_BLOCKS, grown / BLOCK_BYTES)
    .then(() => attachments.resize(unit, BigInt(grown)))
    .then(
      () => console.log("has grown"),
      (error: unknown) => console.log(`has not grown: ${String(error)}`),
    );
});
process.on("SIGTERM", () => {
  attachments.stop();
  void reactor.stop().then(() => process.exit(0));
});
// Last: whoever reads it may send a signal at once.
console.log(`serves /dev/${isNbd ? "nbd" : "ublkb"}${index}`);
