import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { discoverDevices } from "../../../host/discovery/discover.ts";
import type { InUseSources } from "../../../host/discovery/in-use.ts";
import { listPresentDevices, listSgDevices } from "../../../host/discovery/sysfs.ts";
import { whyRescan } from "../../../host/discovery/uevents.ts";
import { disk, transportOf } from "./pages.ts";

/** A sysfs tree as the kernel lays it out: /sys/class/scsi_generic/sgN -> the device's folder. */
class Tree {
  readonly root = mkdtempSync(join(tmpdir(), "pm-sysfs-"));
  readonly proc = mkdtempSync(join(tmpdir(), "pm-proc-"));
  readonly busy = new Set<string>();
  /** Their opens never end, as those on a host in error recovery. */
  readonly stuck = new Set<string>();
  readonly opened: string[] = [];

  constructor() {
    mkdirSync(join(this.root, "class/scsi_generic"), { recursive: true });
    mkdirSync(join(this.root, "block"), { recursive: true });
    this.process("self", "mnt:[1]", []);
    writeFileSync(join(this.proc, "swaps"), "Filename\tType\tSize\tUsed\tPriority\n");
  }

  /** A process in a mount namespace, with the lines of its mountinfo (proc(5)). */
  process(pid: string, namespace: string, mounts: readonly string[], opened: readonly string[] = []): void {
    const folder = join(this.proc, pid);
    mkdirSync(join(folder, "ns"), { recursive: true });
    mkdirSync(join(folder, "fd"), { recursive: true });
    rmSync(join(folder, "ns/mnt"), { force: true });
    symlinkSync(namespace, join(folder, "ns/mnt"));
    writeFileSync(join(folder, "comm"), "worker\n");
    writeFileSync(join(folder, "mountinfo"), mounts.map((line) => `${line}\n`).join(""));
    for (const [fd, file] of opened.entries()) symlinkSync(file, join(folder, "fd", String(fd)));
  }

  add(sg: number, number: string, block: string | null, { type = 0, vendor = "LIO-ORG ", segments = 128 } = {}): void {
    const folder = join(this.root, "devices", number);
    const generic = join(folder, "scsi_generic", `sg${sg}`);
    mkdirSync(generic, { recursive: true });
    symlinkSync(folder, join(generic, "device"));
    symlinkSync(generic, join(this.root, "class/scsi_generic", `sg${sg}`));
    const host = join(this.root, "class/scsi_host", `host${number.split(":")[0]}`);
    mkdirSync(host, { recursive: true });
    writeFileSync(join(host, "proc_name"), "lpfc\n");
    for (const [name, text] of Object.entries({
      vendor,
      model: "lu0             ",
      type,
      state: "running",
      queue_depth: 32,
    })) {
      writeFileSync(join(folder, name), `${text}\n`);
    }
    if (block === null) return;
    const queue = join(folder, "block", block, "queue");
    mkdirSync(queue, { recursive: true });
    mkdirSync(join(folder, "block", block, "holders"));
    writeFileSync(join(folder, "block", block, "dev"), `8:${16 * sg}\n`);
    writeFileSync(join(queue, "max_hw_sectors_kb"), "1024\n");
    writeFileSync(join(queue, "max_segments"), `${segments}\n`);
    symlinkSync(join(folder, "block", block), join(this.root, "block", block));
  }

  get sources(): InUseSources {
    return {
      sysfs: this.root,
      proc: this.proc,
      openExclusive: (device) => {
        this.opened.push(device);
        return this.stuck.has(device)
          ? new Promise(() => undefined)
          : Promise.resolve(this.busy.has(device) ? "EBUSY" : null);
      },
    };
  }
}

const ALL = { devices: "all", exclude: [], budgetMs: 1000 } as const;

test("sysfs tells path number, names, limits, in the order of path numbers", (t) => {
  const tree = new Tree();
  tree.add(0, "10:0:0:1", "sdb");
  tree.add(1, "9:0:0:1", "sda", { segments: 64 });
  tree.add(2, "10:0:0:0", null);
  const devices = listSgDevices(tree.root);
  t.deepEqual(
    devices.map(({ device, number }) => `${device} ${number}`),
    ["/dev/sg1 9:0:0:1", "/dev/sg2 10:0:0:0", "/dev/sg0 10:0:0:1"],
  );
  t.is(devices[0]?.transferBytesMax, 64 * 4096);
  t.is(devices[2]?.transferBytesMax, 128 * 4096);
  t.is(devices[1]?.transferBytesMax, null);
  t.is(devices[0]?.initiatorPort, "host9 lpfc");
  t.is(devices[0]?.vendor, "LIO-ORG");
  t.is(devices[0]?.queueDepth, 32);
});

test("a machine without SCSI has no devices", (t) => {
  t.deepEqual(listSgDevices(mkdtempSync(join(tmpdir(), "pm-none-"))), []);
});

test("where sysfs itself is gone, a daemon does not take its paths for gone", (t) => {
  const root = mkdtempSync(join(tmpdir(), "pm-none-"));
  t.throws(() => listPresentDevices(root), { message: /mount sysfs/ });
  mkdirSync(join(root, "class/scsi_host"), { recursive: true });
  t.deepEqual(listPresentDevices(root), []);
});

/** A line of mountinfo for a file system of one device. */
const mountLine = (number: string, where: string, source = "/dev/root", type = "ext4"): string =>
  `36 35 ${number} / ${where} rw,relatime shared:1 - ${type} ${source} rw`;

function map(tree: Tree, name: string, uuid: string): void {
  mkdirSync(join(tree.root, "block/sda/holders/dm-0"));
  mkdirSync(join(tree.root, "block/dm-0/dm"), { recursive: true });
  writeFileSync(join(tree.root, "block/dm-0/dm/name"), `${name}\n`);
  writeFileSync(join(tree.root, "block/dm-0/dm/uuid"), `${uuid}\n`);
}

/** Uses of sda (8:0). */
const USES: Readonly<Record<string, { use: (tree: Tree) => void; says: RegExp }>> = {
  mounted: {
    use: (tree) => tree.process("self", "mnt:[1]", [mountLine("8:0", "/mnt/my\\040disk")]),
    says: /\/dev\/sda is mounted on \/mnt\/my disk; unmount it/,
  },
  "mounted by a partition": {
    use: (tree) => {
      mkdirSync(join(tree.root, "block/sda/sda1/holders"), { recursive: true });
      writeFileSync(join(tree.root, "block/sda/sda1/dev"), "8:1\n");
      tree.process("self", "mnt:[1]", [mountLine("8:1", "/")]);
    },
    says: /\/dev\/sda1 is mounted on \//,
  },
  "mounted in the namespace of a container": {
    use: (tree) => tree.process("77", "mnt:[2]", [mountLine("8:0", "/data")]),
    says: /\/dev\/sda is mounted on \/data in the mount namespace of process 77 \(worker\)/,
  },
  "mounted as a file system with a number of no device": {
    use: (tree) => tree.process("self", "mnt:[1]", [mountLine("0:43", "/srv", "/dev/sda", "btrfs")]),
    says: /\/dev\/sda is mounted on \/srv/,
  },
  "a further device of a mounted btrfs": {
    use: (tree) => mkdirSync(join(tree.root, "fs/btrfs/0f8a/devices/sda"), { recursive: true }),
    says: /\/dev\/sda belongs to a btrfs file system/,
  },
  "swapped to": {
    use: (tree) => writeFileSync(join(tree.proc, "swaps"), "Filename Type\n/dev/sda partition 1 0 -2\n"),
    says: /\/dev\/sda is swap space; run swapoff \/dev\/sda/,
  },
  "held by dm-multipath": {
    use: (tree) => map(tree, "mpatha", "mpath-36001405"),
    says: /used by dm-0 \(mpatha\); run multipath -f mpatha/,
  },
  "held by a logical volume": {
    use: (tree) => map(tree, "vg-root", "LVM-abc"),
    says: /used by dm-0 \(vg-root\); deactivate that logical volume/,
  },
  "held by another map": { use: (tree) => map(tree, "lin", ""), says: /used by dm-0 \(lin\); run dmsetup remove lin/ },
  "held by an md array": {
    use: (tree) => mkdirSync(join(tree.root, "block/sda/holders/md127")),
    says: /used by md127; run mdadm --stop \/dev\/md127/,
  },
  "held by bcache": {
    use: (tree) => mkdirSync(join(tree.root, "block/sda/bcache/dev"), { recursive: true }),
    says: /used by bcache; run echo 1 > \/sys\/block\/sda\/bcache\/stop/,
  },
  "opened exclusively": {
    use: (tree) => {
      tree.busy.add("/dev/sda");
      tree.process("812", "mnt:[1]", [], ["/srv/file", "/dev/sda"]);
    },
    says: /\/dev\/sda is in exclusive use by process 812 \(worker\); end that first/,
  },
};
for (const [title, { use, says }] of Object.entries(USES)) {
  test(`a device that is ${title} is refused with the reason, and its unit is named as in use; others are taken`, async (t) => {
    const tree = new Tree();
    tree.add(0, "1:0:0:0", "sda");
    tree.add(1, "1:0:0:1", "sdb");
    use(tree);
    const transport = transportOf({ "/dev/sg0": disk(1), "/dev/sg1": disk(2) });
    const found = await discoverDevices(transport, listSgDevices(tree.root), { ...ALL, sources: tree.sources });
    t.deepEqual(
      found.paths.map(({ device }) => device),
      ["/dev/sg1"],
    );
    t.is(found.refusals.length, 1);
    t.regex(found.refusals[0]?.reason ?? "", says);
    t.like(found.inUse, [{ device: "/dev/sg0", isNamed: true, identities: [IDENTITY_1] }]);
  });
}

const IDENTITY_1 = "naa.60014005000000000000000000000001";

/** What the kernel has kept of the pages of unit 1 (sysfs: inquiry, vpd_pg83). */
function keep(tree: Tree, number: string, kept = "0x83"): void {
  const folder = join(tree.root, "devices", number);
  const pages = disk(1);
  for (const [page, name] of Object.entries({ inquiry: "inquiry", [kept]: `vpd_pg${kept.slice(2)}` })) {
    writeFileSync(join(folder, name), pages[page] as Uint8Array);
  }
  mkdirSync(join(tree.root, "class/scsi_device", number), { recursive: true });
  symlinkSync(folder, join(tree.root, "class/scsi_device", number, "device"));
}

test("a device in use that answers nothing is still known: the kernel has kept who it is", async (t) => {
  const tree = new Tree();
  tree.add(0, "1:0:0:0", "sda");
  keep(tree, "1:0:0:0");
  tree.busy.add("/dev/sda");
  const transport = transportOf({ "/dev/sg0": "hang" });
  const options = { ...ALL, budgetMs: 100, sources: tree.sources };
  const found = await discoverDevices(transport, listSgDevices(tree.root), options);
  t.deepEqual(found.inUse[0]?.identities, [IDENTITY_1]);
});

test("a device in use is asked for nothing but who it is: its user hears every unit attention", async (t) => {
  const tree = new Tree();
  tree.add(0, "1:0:0:0", "sda");
  tree.busy.add("/dev/sda");
  const sent: number[] = [];
  const transport = transportOf({ "/dev/sg0": disk(1) });
  const listening: typeof transport = {
    command: (device, cdb, bytes, timeoutMs) => {
      sent.push(cdb[0] ?? -1);
      return transport.command(device, cdb, bytes, timeoutMs);
    },
  };
  await discoverDevices(listening, listSgDevices(tree.root), { ...ALL, sources: tree.sources });
  t.true(sent.length > 0);
  t.deepEqual([...new Set(sent)], [0x12]);
});

test("a device that is not named keeps a unit from being used when it is in use, and is not asked for that", async (t) => {
  const tree = new Tree();
  tree.add(0, "1:0:0:0", "sda");
  tree.add(1, "2:0:0:0", "sdb");
  keep(tree, "1:0:0:0");
  const transport = transportOf({ "/dev/sg1": disk(1) });
  const options = { ...ALL, devices: [{ device: "/dev/sg1" }], sources: tree.sources };
  const look = () => discoverDevices(transport, listSgDevices(tree.root), options);
  const free = await look();
  t.is(free.paths.length, 1);
  t.deepEqual(free.inUse, []);
  t.deepEqual(free.refusals, []);
  tree.busy.add("/dev/sda");
  const used = await look();
  t.like(used.inUse, [{ device: "/dev/sg0", isNamed: false, identities: [IDENTITY_1] }]);
});

test("a device in use of which the kernel has kept no page 83 is known by its serial number", async (t) => {
  for (const devices of ["all", [{ device: "/dev/sg1" }, { device: "/dev/sg2" }]] as const) {
    const tree = new Tree();
    tree.add(0, "1:0:0:0", "sda");
    tree.add(1, "2:0:0:0", "sdb");
    tree.add(2, "2:0:0:1", "sdc");
    keep(tree, "1:0:0:0", "0x80");
    tree.busy.add("/dev/sda");
    const transport = transportOf({ "/dev/sg0": "hang", "/dev/sg1": disk(1), "/dev/sg2": disk(2) });
    const options = { ...ALL, devices, budgetMs: 200, sources: tree.sources };
    const { inUse } = await discoverDevices(transport, listSgDevices(tree.root), options);
    t.is(inUse.length, 1);
    t.is(inUse[0]?.device, "/dev/sg0");
    t.true(inUse[0]?.identities.includes(IDENTITY_1));
    t.false(inUse[0]?.identities.includes(IDENTITY_1.replace(/1$/, "2")));
  }
});

test("a disk whose open does not end holds up no other, and is refused with the reason", async (t) => {
  const tree = new Tree();
  for (let unit = 0; unit < 6; unit++) tree.add(unit, `1:0:0:${unit}`, `sd${unit}`);
  for (let unit = 0; unit < 5; unit++) tree.stuck.add(`/dev/sd${unit}`);
  const transport = transportOf({ "/dev/sg5": disk(1) });
  const found = await discoverDevices(transport, listSgDevices(tree.root), {
    ...ALL,
    budgetMs: 100,
    sources: tree.sources,
  });
  t.deepEqual(
    found.paths.map(({ device }) => device),
    ["/dev/sg5"],
  );
  t.is(found.refusals.length, 5);
  t.regex(found.refusals[0]?.reason ?? "", /\/dev\/sd0 cannot be opened within 100 ms; it is looked at again/);
});

test("the disks of a host in error recovery are not opened at all: that would wait for its end", async (t) => {
  const tree = new Tree();
  tree.add(0, "1:0:0:0", "sda");
  tree.add(1, "2:0:0:0", "sdb");
  writeFileSync(join(tree.root, "class/scsi_host/host1/state"), "recovery\n");
  writeFileSync(join(tree.root, "class/scsi_host/host2/state"), "running\n");
  const transport = transportOf({ "/dev/sg0": disk(1), "/dev/sg1": disk(2) });
  const found = await discoverDevices(transport, listSgDevices(tree.root), { ...ALL, sources: tree.sources });
  t.deepEqual(
    found.paths.map(({ device }) => device),
    ["/dev/sg1"],
  );
  t.deepEqual(tree.opened, ["/dev/sdb"]);
  t.regex(found.refusals[0]?.reason ?? "", /host1 is in the state "recovery"/);
});

test("nothing is taken unless named: by identity, vendor, product, device or path number", async (t) => {
  const tree = new Tree();
  tree.add(0, "1:0:0:0", "sda");
  tree.add(1, "1:0:0:1", "sdb", { vendor: "OTHER   " });
  tree.add(2, "1:0:0:2", null, { type: 13 });
  const transport = transportOf({ "/dev/sg0": disk(1), "/dev/sg1": disk(2) });
  const taken = async (devices: "all" | object[], exclude: object[] = []): Promise<string[]> => {
    const found = await discoverDevices(transport, listSgDevices(tree.root), {
      devices,
      exclude,
      budgetMs: 1000,
      sources: tree.sources,
    });
    return found.paths.map(({ device }) => device);
  };
  t.deepEqual(await taken([]), []);
  t.deepEqual(await taken("all"), ["/dev/sg0", "/dev/sg1"]);
  t.deepEqual(await taken([{ device: "/dev/sg1" }]), ["/dev/sg1"]);
  t.deepEqual(await taken([{ path: "1:0:0:0" }]), ["/dev/sg0"]);
  t.deepEqual(await taken([{ identity: "naa.60014005*2" }]), ["/dev/sg1"]);
  t.deepEqual(await taken([{ vendor: "lio-*", product: "lu*" }]), ["/dev/sg0"]);
  t.deepEqual(await taken([{ vendor: "lio-org", product: "disk" }]), []);
  t.deepEqual(await taken("all", [{ identity: "naa.*1" }]), ["/dev/sg1"]);
});

test("uevents of SCSI devices mean a new look, all others are not for us", (t) => {
  const devpath = "/devices/pci0/host4/target4:0:0/4:0:0:1";
  const generic = { subsystem: "scsi_generic", devpath: `${devpath}/scsi_generic/sg3`, properties: {} };
  t.is(whyRescan({ action: "add", ...generic }), "sg3: add");
  t.is(whyRescan({ action: "remove", ...generic }), "sg3: remove");
  const properties = { SDEV_UA: "CAPACITY_DATA_HAS_CHANGED" };
  t.is(whyRescan({ action: "change", subsystem: "scsi", devpath, properties }), "4:0:0:1: CAPACITY_DATA_HAS_CHANGED");
  t.is(whyRescan({ action: "overflow", subsystem: "", devpath: "", properties: {} }), "the kernel dropped uevents");
  t.is(whyRescan({ action: "change", subsystem: "scsi", devpath, properties: {} }), null);
  t.is(whyRescan({ action: "add", subsystem: "net", devpath: "/devices/x", properties: {} }), null);
  const changed = { action: "change", subsystem: "block", devpath: `${devpath}/block/sda` };
  t.is(whyRescan({ ...changed, properties: { RESIZE: "1" } }), "sda: change");
  t.is(whyRescan({ ...changed, properties: {} }), "sda: change");
  t.is(
    whyRescan({ ...changed, properties: { SYNTH_UUID: "0" } }),
    null,
    "somebody has closed it, or udevadm was told to",
  );
  t.is(whyRescan({ ...changed, devpath: "/devices/virtual/block/nbd0", properties: { RESIZE: "1" } }), null);
});
