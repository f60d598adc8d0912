// The one-shot helpers do what they say, and say what is wrong.

import { execFile } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import {
  bindDatagram,
  clockNs,
  closeDevice,
  closeDescriptor,
  duplicate,
  nbdAttach,
  nbdDetach,
  nbdStatus,
  openExclusive,
  peerCredentials,
  scsiCommand,
  sendDatagram,
  socketPair,
  UeventMonitor,
  writeAttribute,
} from "../../../host/native/index.ts";

const root = join(import.meta.dirname, "..", "..", "..");

test("the committed types are those of the addon", (t) => {
  const committed = readFileSync(join(root, "host/native/addon.d.ts"), "utf8");
  const generated = readFileSync(join(root, "build/native/addon.d.ts"), "utf8");
  t.is(committed, generated, "run `node host/build/native.mjs --types`");
});

test("clockNs is the clock of process.hrtime", (t) => {
  const before = process.hrtime.bigint();
  const now = clockNs();
  const after = process.hrtime.bigint();
  t.true(before <= now && now <= after);
});

test("a duplicate lives on when the original is closed", (t) => {
  const [a, b] = socketPair("stream");
  const copy = duplicate(a);
  closeDescriptor(a);
  writeSync(copy, "still here");
  const text = Buffer.alloc(32);
  t.is(text.subarray(0, readSync(b, text)).toString(), "still here");
  closeDescriptor(copy);
  t.is(readSync(b, text), 0, "the last descriptor is closed now");
  closeDescriptor(b);
});

test("a device is opened and an attribute written on threads of their own; what is wrong is told", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-device-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "attribute");
  t.is(await openExclusive(file), -2);
  await t.throwsAsync(writeAttribute(file, "none"), { code: "ERR_NATIVE_SYSTEM", message: /attribute .*No such file/ });
  closeDescriptor(openSync(file, "w"));
  await writeAttribute(file, "none");
  t.is(readFileSync(file, "utf8"), "none");
  const fd = await openExclusive(file);
  t.is(readSync(fd, Buffer.alloc(8)), 4);
  await closeDevice(fd);
  t.throws(() => readSync(fd, Buffer.alloc(8)), { code: "EBADF" });
  t.throws(() => closeDevice(1), { code: "ERR_NATIVE_ARGUMENT" });
});

test("descriptors that are none are refused", (t) => {
  t.throws(() => duplicate(-1), { code: "ERR_NATIVE_SYSTEM", message: /duplicate: descriptor -1/ });
  t.throws(() => duplicate(1_000_000), { code: "ERR_NATIVE_SYSTEM" });
  t.throws(() => closeDescriptor(1_000_000), { code: "ERR_NATIVE_SYSTEM" });
  t.throws(() => closeDescriptor(1), { code: "ERR_NATIVE_ARGUMENT", message: /standard stream/ });
  const file = openSync(import.meta.filename, "r");
  t.throws(() => peerCredentials(file), { code: "ERR_NATIVE_SYSTEM", message: /peerCredentials/ });
  closeDescriptor(file);
});

test("peerCredentials names the process at the other end", (t) => {
  const [a, b] = socketPair("stream");
  t.like(peerCredentials(a), { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  closeDescriptor(a);
  closeDescriptor(b);
});

test("sendDatagram reaches a path and an abstract address", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-"));
  for (const address of [join(folder, "notify"), `@pathmanager-test-${process.pid}`]) {
    const receiver = bindDatagram(address);
    sendDatagram(address, Buffer.from("READY=1"));
    sendDatagram(address, Buffer.from("STOPPING=1"));
    const text = Buffer.alloc(32);
    t.is(text.subarray(0, readSync(receiver, text)).toString(), "READY=1");
    t.is(text.subarray(0, readSync(receiver, text)).toString(), "STOPPING=1");
    closeDescriptor(receiver);
    t.throws(() => sendDatagram(address, new Uint8Array(1)), { code: "ERR_NATIVE_SYSTEM", message: /refused/ });
  }
  t.throws(() => sendDatagram(join(folder, "nobody"), new Uint8Array(1)), { message: /nobody": No such file/ });
  t.throws(() => sendDatagram("x".repeat(200), new Uint8Array(1)), { code: "ERR_NATIVE_ARGUMENT" });
  rmSync(folder, { recursive: true });
});

test("sendDatagram never waits for a receiver that does not read", (t) => {
  const address = `@pathmanager-full-${process.pid}`;
  const receiver = bindDatagram(address);
  const flood = (): void => {
    for (let sent = 0; sent < 10_000; sent++) sendDatagram(address, new Uint8Array(1000));
  };
  t.throws(flood, { code: "ERR_NATIVE_SYSTEM", message: /temporarily unavailable/ });
  closeDescriptor(receiver);
});

test("scsiCommand refuses what is no command or no SCSI device", async (t) => {
  const tur = new Uint8Array(6);
  const argument = { code: "ERR_NATIVE_ARGUMENT" };
  t.throws(() => scsiCommand("/dev/null", new Uint8Array(0), abi.DIRECTION_NONE, 0, 1000), argument);
  t.throws(() => scsiCommand("/dev/null", new Uint8Array(33), abi.DIRECTION_NONE, 0, 1000), argument);
  t.throws(() => scsiCommand("/dev/null", tur, 3, 0, 1000), { ...argument, message: /direction: 3/ });
  t.throws(() => scsiCommand("/dev/null", tur, abi.DIRECTION_OUT, 512, 1000), argument);
  t.throws(() => scsiCommand("/dev/null", tur, abi.DIRECTION_IN, 0x7fff_ffff, 1000), argument);
  t.throws(() => scsiCommand("/dev/null", tur, abi.DIRECTION_NONE, 0, 0), { ...argument, message: /timeoutMs/ });
  await t.throwsAsync(scsiCommand("/dev/null", tur, abi.DIRECTION_NONE, 0, 1000), {
    code: "ERR_NATIVE_NOT_SCSI_GENERIC",
  });
  await t.throwsAsync(scsiCommand("/dev/no such device", tur, abi.DIRECTION_NONE, 0, 1000), {
    code: "ERR_NATIVE_SYSTEM",
    message: /no such device/,
  });
});

test("nbd helpers check what they are given before the kernel is asked", async (t) => {
  const options = { index: -1, sockets: [0], sizeBytes: 1 << 20, blockBytes: 512, serverFlags: 1 };
  const argument = { code: "ERR_NATIVE_ARGUMENT" };
  await t.throwsAsync(nbdAttach({ ...options, sockets: [] }), { ...argument, message: /sockets/ });
  await t.throwsAsync(nbdAttach({ ...options, blockBytes: 1000 }), { ...argument, message: /blockBytes: 1000/ });
  await t.throwsAsync(nbdAttach({ ...options, sizeBytes: 1000.5 }), { ...argument, message: /sizeBytes/ });
  await t.throwsAsync(nbdAttach({ ...options, sizeBytes: 1000 }), { ...argument, message: /divides sizeBytes/ });
});

test("nbd helpers say what the kernel lacks or refuses", async (t) => {
  // With the driver loaded there is a list; without, the error says how to load it. /dev/nbd9999 exists nowhere.
  const missing = await nbdDetach(9999).catch((reason: unknown) => reason);
  t.true(missing instanceof Error);
  if (!(missing instanceof Error)) return;
  const code: unknown = Reflect.get(missing, "code");
  if (code === "ERR_NATIVE_NBD_UNAVAILABLE") {
    t.regex(missing.message, /modprobe nbd/);
    await t.throwsAsync(nbdStatus(), { code: "ERR_NATIVE_NBD_UNAVAILABLE" });
  } else {
    t.is(code, "ERR_NATIVE_SYSTEM");
    t.regex(missing.message, /nbd9999/);
    t.true(Array.isArray(await nbdStatus()));
  }
});

test("a uevent monitor can be closed, twice too, and does not keep the process alive", async (t) => {
  const monitor = new UeventMonitor(() => {});
  monitor.close();
  monitor.close();
  const script = `import { UeventMonitor } from ${JSON.stringify(join(root, "host/native/index.ts"))};
new UeventMonitor(() => {}); console.log("over");`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 20_000,
  });
  t.is(stdout, "over\n");
});
