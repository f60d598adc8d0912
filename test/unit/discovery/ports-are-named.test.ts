// What the ports of a path are called in sysfs, laid out as the kernel's transports do: names stay when numbers change.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import { nexusOf, UNNAMED } from "../../../host/discovery/port-names.ts";
import { PortStateReader, readPortStates, type PortStates } from "../../../host/discovery/port-states.ts";
import { listSgDevices } from "../../../host/discovery/sysfs.ts";

type Files = Readonly<Record<string, string>>;

/** One SCSI generic device below `folder`, and other files of sysfs. */
function layOut(number: string, folder: string, files: Files): string {
  const root = mkdtempSync(join(tmpdir(), "pm-ports-"));
  const device = join(root, "devices", folder, number);
  mkdirSync(device, { recursive: true });
  mkdirSync(join(root, "class/scsi_generic/sg0"), { recursive: true });
  symlinkSync(device, join(root, "class/scsi_generic/sg0/device"));
  for (const [name, text] of Object.entries(files)) {
    const file = name.startsWith("class/") ? join(root, name) : join(device, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${text}\n`);
  }
  return root;
}

const portsOf = (number: string, folder: string, files: Files) =>
  listSgDevices(layOut(number, folder, files))[0]?.ports;
const NAA_PORT = "naa.5001a2b0deadbe01";

const FIBRE = (host: number): Files => ({
  [`class/fc_host/host${host}/port_name`]: "0x21000024FF4A5B6C",
  [`class/fc_transport/target${host}:0:1/port_name`]: "0x50060e8010203040",
});
const ISCSI = (host: number, session: number, portal = "10.0.0.1"): [string, string, Files] => [
  `${host}:0:0:1`,
  `platform/host${host}/session${session}/target${host}:0:0`,
  {
    [`class/iscsi_session/session${session}/initiatorname`]: "iqn.1993-08.org.debian:01:abc",
    [`class/iscsi_session/session${session}/ifacename`]: "iface0",
    [`class/iscsi_session/session${session}/targetname`]: "iqn.2003-01.org.linux-iscsi:t1",
    [`class/iscsi_session/session${session}/tpgt`]: "1",
    [`class/iscsi_connection/connection${session}:0/persistent_address`]: portal,
    [`class/iscsi_connection/connection${session}:0/persistent_port`]: "3260",
  },
];

test("Fibre Channel: the WWPNs of both ports, whatever the host's number", (t) => {
  const [first, second] = [4, 17].map((host) => portsOf(`${host}:0:1:0`, `host${host}/target${host}:0:1`, FIBRE(host)));
  t.deepEqual(first, { initiator: "wwpn.21000024ff4a5b6c", target: "wwpn.50060e8010203040", via: null });
  t.deepEqual(second, first);
});

test("iSCSI: names of initiator, interface and target, and the portal, whatever the session's number", (t) => {
  const first = portsOf(...ISCSI(4, 1));
  t.deepEqual(first, {
    initiator: "iqn.1993-08.org.debian:01:abc,iface0",
    target: "iqn.2003-01.org.linux-iscsi:t1,t,1",
    via: "10.0.0.1:3260",
  });
  t.deepEqual(portsOf(...ISCSI(9, 12)), first);
  t.notDeepEqual(portsOf(...ISCSI(9, 12, "10.0.0.2")), first);
});

test("SAS: the adapter's address, from its driver or from its phys", (t) => {
  const target = { sas_address: "0x5000c50012345678" };
  const expected = { initiator: "sas.500605b001020304", target: "sas.5000c50012345678", via: null };
  const address = "0x500605b001020304";
  t.deepEqual(portsOf("2:0:0:0", "host2", { ...target, "class/scsi_host/host2/host_sas_address": address }), expected);
  const phys = {
    "class/sas_phy/phy-2:0/sas_address": "0x0000000000000000",
    "class/sas_phy/phy-2:1/sas_address": address,
  };
  t.deepEqual(
    portsOf("2:0:0:0", "host2", { ...target, ...phys, "class/sas_phy/phy-21:0/sas_address": "0x1" }),
    expected,
  );
});

test("what has no names is known by its number", (t) => {
  const ports = portsOf("2:0:0:0", "host2", { "class/fc_host/host2/port_name": "0xffffffffffffffff" });
  t.deepEqual(ports, UNNAMED);
  t.is(nexusOf(UNNAMED, NAA_PORT), null);
  t.is(nexusOf({ ...UNNAMED, initiator: "a" }, "port 3"), null);
  t.is(nexusOf({ ...UNNAMED, initiator: "a" }, null), null);
});

test("where sysfs does not name the target port, what page 0x83 calls it does", (t) => {
  t.is(nexusOf({ ...UNNAMED, initiator: "a" }, NAA_PORT), `a -> ${NAA_PORT}`);
  t.is(nexusOf({ initiator: "a", target: "b", via: "c" }, NAA_PORT), "a -> b via c");
});

test("a device that is made anew under its number is another instance", (t) => {
  const root = layOut("2:0:0:0", "host2", {});
  const first = listSgDevices(root)[0];
  t.is(listSgDevices(root)[0]?.instance, first?.instance);
  // A folder in between, so that the inode number is not given again.
  mkdirSync(join(root, "devices/host2/other"));
  const other = layOut("2:0:0:0", "host2", {});
  t.not(listSgDevices(other)[0]?.instance, first?.instance);
});

test("state and speed of ports, in the kernel's words; what a driver does not know is nothing", async (t) => {
  const root = layOut("4:0:1:0", "host4/target4:0:1", {
    ...FIBRE(4),
    "class/fc_host/host4/port_state": "Online",
    "class/fc_host/host4/speed": "16 Gbit",
    "class/fc_host/host5/port_state": "Linkdown",
    "class/fc_host/host5/speed": "unknown",
    "class/fc_remote_ports/rport-4:0-1/scsi_target_id": "1",
    "class/fc_remote_ports/rport-4:0-1/port_state": "Blocked",
    "class/fc_remote_ports/rport-4:0-2/scsi_target_id": "-1",
    "class/sas_phy/phy-7:0/negotiated_linkrate": "12.0 Gbit",
    "class/sas_phy/phy-7:1/negotiated_linkrate": "6.0 Gbit",
    "class/sas_phy/phy-8:0/negotiated_linkrate": "Unknown",
  });
  const { initiators, targets } = await readPortStates(root);
  t.deepEqual(Object.fromEntries(initiators), {
    4: { state: "Online", speed: "16 Gbit" },
    5: { state: "Linkdown", speed: null },
    7: { state: "link up", speed: "12.0 Gbit" },
    8: { state: "link down", speed: null },
  });
  t.deepEqual(Object.fromEntries(targets), { "4:0:1": { state: "Blocked", speed: null } });
});

test("an iSCSI session is the state of its host and of its target", async (t) => {
  const [number, folder, files] = ISCSI(9, 3);
  const root = layOut(number, folder, files);
  const session = join(root, "devices/platform/host9/session3/iscsi_session/session3");
  mkdirSync(session, { recursive: true });
  writeFileSync(join(session, "state"), "FAILED\n");
  writeFileSync(join(session, "target_id"), "0\n");
  rmSync(join(root, "class/iscsi_session/session3"), { recursive: true });
  symlinkSync(session, join(root, "class/iscsi_session/session3"));
  const { initiators, targets } = await readPortStates(root);
  t.is(initiators.get("9")?.state, "FAILED");
  t.is(targets.get("9:0:0")?.state, "FAILED");
});

test("a driver that does not answer holds up no display", async (t) => {
  const answer = Promise.withResolvers<PortStates>();
  const reader = new PortStateReader(() => answer.promise);
  t.is((await reader.forDisplay()).initiators.size, 0);
  const states = { initiators: new Map([["4", { state: "Online", speed: null }]]), targets: new Map<string, never>() };
  answer.resolve(states);
  await answer.promise;
  t.is((await reader.forDisplay()).initiators.get("4")?.state, "Online");
});

test("what a driver said before it fell silent is not told for long", async (t) => {
  const silent = Promise.withResolvers<PortStates>();
  const states = { initiators: new Map([["4", { state: "Online", speed: null }]]), targets: new Map<string, never>() };
  let [nowMs, reads] = [0, 0];
  const reader = new PortStateReader(
    () => (reads++ === 0 ? Promise.resolve(states) : silent.promise),
    () => nowMs,
  );
  const stateNow = async () => (await reader.forDisplay()).initiators.get("4")?.state;
  t.is(await stateNow(), "Online");
  nowMs = 5_000;
  t.is(await stateNow(), "Online", "it may answer yet");
  nowMs = 20_000;
  t.is(await stateNow(), undefined, "nobody knows any more");
  t.is(reads, 2, "one reading at a time");
  silent.resolve(states);
  await silent.promise;
  t.is(await stateNow(), "Online");
});

const adapterOf = (folder: string) => listSgDevices(layOut("4:0:1:0", folder, {}))[0]?.adapter;

test("the adapter is the PCI device of a host, whatever its function: two ports of one card are one adapter", (t) => {
  t.is(adapterOf("pci0000:3a/0000:3a:00.0/0000:3b:00.0/host4/target4:0:1"), "0000:3b:00");
  t.is(adapterOf("pci0000:3a/0000:3a:00.0/0000:3b:00.1/host5/rport-5:0-1/target5:0:1"), "0000:3b:00");
  t.is(adapterOf("platform/host4/session1/target4:0:1"), null);
});
