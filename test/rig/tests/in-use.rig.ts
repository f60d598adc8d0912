// A unit that somebody uses over one path is neither offered nor attached over the others, whatever the use is; when a path
// in use appears later, the unit goes on over its own, and that is an error.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { until } from "../../until.ts";
import { attempt, run, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, getlun, mustPathctl, NBD_SOCKET, pathctl, statusText } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 2, timeLimitS: 600 };

const FOLDER = "/mnt/in-use";
/** The number that unit 0 of the array has in the daemon, which has seen unit 1 first. */
const NUMBER = "1";
const FILE = "/etc/pathmanager/pathmanager.toml";
const array = new LioArray();

const first = () => array.disk(0, 0);
const second = () => array.disk(1, 0);

const isShown = (pathNumber: string): boolean => getlun().includes(`PathNumber=${pathNumber}\n`);

const configuration = (selectors: string): string =>
  `sockets.nbd = "${NBD_SOCKET}"\nlog.system = false\npolicy = "static"\ndevices = ${selectors}\n`;

/** Unit 1 alone: then nobody holds the devices of unit 0. */
const others = (): string => `[${[0, 1].map((path) => `{ path = "${array.disk(path, 1).pathNumber}" }`).join(", ")}]`;
const onlySecond = (): string => `[{ path = "${second().pathNumber}" }]`;

function name(selectors: string): void {
  writeFileSync(FILE, configuration(selectors));
  mustPathctl("config", "reload");
}

async function begin(selectors: string): Promise<void> {
  const daemon = await Daemon.start(`policy = "static"\ndevices = ${selectors}\n`);
  afterwards(async () => void (await daemon.stop()));
}

/** Something that uses the first path of unit 0, and how to end it. */
interface Use {
  readonly begin: () => void | Promise<void>;
  readonly end: () => void | Promise<void>;
  readonly says: () => RegExp;
}

const said = (text: string): RegExp => new RegExp(text.replaceAll("(", String.raw`\(`).replaceAll(")", String.raw`\)`));

/** Something that runs until it is killed. */
function running(program: string, ...args: readonly string[]): { end: () => Promise<void>; pid: number } {
  const child = start(program, ...args);
  return {
    pid: child.pid,
    end: async () => {
      child.kill("SIGKILL");
      await child;
    },
  };
}

const HOLD = `
const { openSync, writeFileSync, constants } = require("node:fs");
openSync(process.argv[1], constants.O_RDWR | constants.O_EXCL);
writeFileSync("/tmp/held", "");
setInterval(() => {}, 1e6);`;

let container: ReturnType<typeof running> | undefined;
let holder: ReturnType<typeof running> | undefined;

const hasStarted = (file: string): Promise<true> =>
  until("it has begun", () => attempt("test", ["-e", file]).status === 0).then(() => {
    run("rm", file);
    return true;
  });

const USES: Readonly<Record<string, Use>> = {
  "a mount": {
    begin: () => void run("mount", first().sd, FOLDER),
    end: () => void run("umount", FOLDER),
    says: () => said(`${first().sd} is mounted on ${FOLDER}; unmount it`),
  },
  "a mount in another namespace": {
    begin: async () => {
      const script = `mount ${first().sd} ${FOLDER} && touch /tmp/mounted && exec sleep 1000`;
      container = running("unshare", "-m", "sh", "-c", script);
      await hasStarted("/tmp/mounted");
    },
    end: async () => container?.end(),
    says: () => said(`${first().sd} is mounted on ${FOLDER} in the mount namespace of process \\d+ (sleep)`),
  },
  "a mounted partition": {
    begin: () => {
      run("addpart", first().sd, "1", "2048", "40960");
      run("mkfs.ext4", "-q", "-F", `${first().sd}1`);
      run("mount", `${first().sd}1`, FOLDER);
    },
    end: () => {
      run("umount", FOLDER);
      run("delpart", first().sd, "1");
    },
    says: () => said(`${first().sd}1 is mounted on ${FOLDER}`),
  },
  "swap space": {
    begin: () => {
      run("mkswap", "-f", first().sd);
      run("swapon", first().sd);
    },
    end: () => void run("swapoff", first().sd),
    says: () => said(`${first().sd} is swap space; run swapoff ${first().sd}`),
  },
  "a device-mapper map": {
    begin: () => void run("dmsetup", "create", "held", "--table", `0 2048 linear ${first().sd} 0`),
    end: () => void run("dmsetup", "remove", "--retry", "held"),
    says: () => said(`${first().sd} is used by dm-\\d+ (held); run dmsetup remove held`),
  },
  "an md array": {
    begin: () => {
      run("modprobe", "raid1");
      const how = ["--create", "/dev/md77", "--run", "--force", "--metadata=1.2", "--level=1", "--raid-devices=2"];
      run("mdadm", ...how, first().sd, "missing");
    },
    end: () => {
      run("mdadm", "--stop", "/dev/md77");
      run("mdadm", "--zero-superblock", first().sd);
    },
    says: () => said(`${first().sd} is used by md77; run mdadm --stop /dev/md77`),
  },
  "an exclusive open": {
    begin: async () => {
      holder = running("node", "-e", HOLD, first().sd);
      await hasStarted("/tmp/held");
    },
    end: async () => holder?.end(),
    says: () => said(`${first().sd} is in exclusive use by process \\d+ .*; end that first`),
  },
};

function tellsEverywhere(reason: RegExp): void {
  assert.match(statusText(), reason);
  const doctor = pathctl("doctor");
  assert.equal(doctor.status, 1, doctor.stdout);
  assert.match(doctor.stdout, reason);
  assert.notEqual(pathctl("attach", NUMBER, "/dev/nbd3").status, 0);
}

test("whatever uses a path of a unit, the unit is not offered and everything says why; when it ends, it is", async () => {
  run("mkdir", "-p", FOLDER);
  await begin(others());
  for (const [title, use] of Object.entries(USES)) {
    console.log(`# ${title}`);
    if (title.startsWith("a mount")) run("mkfs.ext4", "-q", "-F", first().sd);
    await use.begin();
    let isOver = false;
    afterwards(async () => {
      if (!isOver) await use.end();
    });
    name('"all"');
    const show = await until(`${title} is seen`, () => {
      const text = mustPathctl("show");
      return text.includes("is not used") ? text : undefined;
    });
    assert.match(show, use.says());
    assert.match(show, new RegExp(`another path of its unit, ${first().sg} `));
    for (const device of [first(), second()]) assert.ok(!isShown(device.pathNumber), title);
    if (title === "a mount") tellsEverywhere(use.says());
    await use.end();
    isOver = true;
    mustPathctl("config", "reload");
    for (const { pathNumber } of [first(), second()]) {
      await until(`after ${title} the path is taken`, () => isShown(pathNumber));
    }
    name(others());
    await until("the devices are let go", () => !isShown(first().pathNumber));
  }
});

test("a unit that is in use by a path which is not named is not offered; when it is ours before, it goes on", async () => {
  run("mkfs.ext4", "-q", "-F", first().sd);
  run("mount", first().sd, FOLDER);
  afterwards(() => void attempt("umount", [FOLDER]));
  await begin(onlySecond());
  assert.ok(!isShown(second().pathNumber));
  assert.match(mustPathctl("show"), new RegExp(`${first().sd} is mounted on ${FOLDER}`));
  run("umount", FOLDER);
  mustPathctl("config", "reload");
  await until("the path is taken", () => isShown(second().pathNumber));
  mustPathctl("attach", NUMBER, "/dev/nbd3");
  run("mount", first().sd, FOLDER);
  name('"all"');
  const text = await until("the use is seen", () => {
    const events = mustPathctl("events");
    return events.includes("660") || events.includes("that path was refused") ? events : undefined;
  });
  assert.match(text, new RegExp(`${first().sd} is mounted on ${FOLDER}`));
  assert.ok(!isShown(first().pathNumber));
  assert.ok(isShown(second().pathNumber));
  run("dd", "if=/dev/nbd3", "of=/dev/null", "bs=4096", "count=1", "iflag=direct");
  assert.equal(pathctl("doctor").status, 1);
  mustPathctl("detach", NUMBER);
});
