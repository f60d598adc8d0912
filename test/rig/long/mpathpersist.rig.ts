// The real mpathpersist on a map of dm-multipath and our pathpersist on a unit, both with all four paths of one array: the same commands one
// after the other have the same output and exit status. What is known to differ is named with its command, and is in docs/cluster.md.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { until } from "../../until.ts";
import { pathpersist } from "../../../host/cli/pathpersist/main.ts";
import { attempt, run, type Outcome } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { MULTIPATH_DEVICE, startMultipath } from "../lib/multipath.ts";
import { Daemon, mustPathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, timeLimitS: 300 };

const OURS = "/dev/nbd0";
const array = new LioArray();

/** Each is a call; DEVICE is put in where it says so. */
const CALLS: readonly string[] = [
  "-i -k DEVICE",
  "-i -r DEVICE",
  "-i -c DEVICE",
  "-i -s DEVICE",
  "-o -G -S a1 DEVICE",
  "-i -k DEVICE",
  "--in --read-keys -d DEVICE",
  "-o -G -S b2 DEVICE",
  "-o -R -T 5 -K b2 DEVICE",
  "-o -R -T 5 -K a1 DEVICE",
  "-i -r -d DEVICE",
  "-i -s DEVICE",
  "-o -R -T 5 -K a1 DEVICE",
  "-o -R -T 1 -K a1 DEVICE",
  "-o -L -T 1 -K a1 DEVICE",
  "-o -P -T 5 -K a1 -S c3 DEVICE",
  "-o -G -K a1 -S a2 DEVICE",
  "-i -k DEVICE",
  "-o -L -T 5 -K a2 DEVICE",
  "-i -r DEVICE",
  "-o -R -T 3 -K a2 DEVICE",
  "-i -r -H DEVICE",
  "-o -L -T 3 -K a2 DEVICE",
  "-o -L -T 3 -K a2 DEVICE",
  "-o -I -S a3 DEVICE",
  "-i -k -l 8 DEVICE",
  "-o -C -K a3 DEVICE",
  "-i -k DEVICE",
  "-o -C -K a3 DEVICE",
  "-o -I -S a4 DEVICE",
  "-o -R -T 7 -K a4 DEVICE",
  "-i -r DEVICE",
  "-o -G -K a4 -S 0 DEVICE",
  "-i -k DEVICE",
  "-i -r DEVICE",
  // Misuse.
  "-i DEVICE",
  "-o DEVICE",
  "-i -o -k DEVICE",
  "-i -k -r DEVICE",
  "-i -k",
  "-i -k -l 9000 DEVICE",
  "-i -G DEVICE",
  "-o -k DEVICE",
  "-o -R -T 5 -K zz DEVICE",
  "-k DEVICE",
  "-i -k /dev/null",
  "-i -k /dev/no-such-device",
];

/** Those that differ, with the reason; docs/cluster.md tells them. */
const DIFFER: Readonly<Record<string, string>> = {
  "-i -c DEVICE": "mpathpersist prints the mask of types as zeros",
  "-i -s DEVICE": "ALL_TG_PT is used without being asked for",
  "-i -k -l 8 DEVICE": "mpathpersist prints keys that it has not got",
  "-o -G -S b2 DEVICE": "mpathpersist compares keys with its configuration; here the device does",
  "-o -R -T 5 -K b2 DEVICE": "the same",
  "-o -C -K a3 DEVICE": "the same",
  "-o -L -T 1 -K a1 DEVICE": "a release with a wrong type ends with mpathpersist's success",
};

/** In this process: to start one takes the guest seconds. */
async function ours(args: readonly string[]): Promise<Outcome> {
  let [stdout, stderr] = ["", ""];
  const out = (text: string): void => void (stdout += text);
  const err = (text: string): void => void (stderr += text);
  const status = await pathpersist(args, { out, err, env: {}, terminal: false, columns: 80, rows: 24 });
  return { status, stdout, stderr };
}

/** What a program that reads it sees: who asked has another name, and each unit is another device. */
function seen({ status, stdout }: Outcome): string {
  const text = stdout
    // Registering takes the array more or fewer steps.
    .replaceAll(/generation=0x[0-9a-f]+/g, "generation")
    .replaceAll(/iqn\S+|naa\.\S+|0x[0-9a-f]{16}/g, "NAME")
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(/ ?\n ?/g, "\n")
    .trim();
  return `${status}: ${text}`;
}

const callOf = (call: string, device: string): string[] =>
  call.split(" ").map((word) => word.replace("DEVICE", device));

let daemon: Daemon | undefined;

test("mpathpersist and pathpersist answer alike, one command after the other", async () => {
  mkdirSync("/var/target/pr", { recursive: true });
  const [mine, other] = [array.devices(0), array.devices(1)];
  const wwid = run("/lib/udev/scsi_id", "-g", "-u", "-d", mine[0]?.sd ?? "").trim();
  assert.equal(other.length, 4);
  daemon = await Daemon.start(`devices = [${mine.map(({ pathNumber }) => `{ path = "${pathNumber}" }`).join(", ")}]\n`);
  mustPathctl("attach", "0", OURS);
  await startMultipath(4, "service-time", `reservation_key file\n}\nblacklist {\n wwid "${wwid}"\n}\n`);
  const differ: string[] = [];
  for (const call of CALLS) {
    const their = attempt("mpathpersist", callOf(call, MULTIPATH_DEVICE));
    const our = await ours(callOf(call, OURS));
    const [theirs, we] = [seen(their), seen(our)];
    if (theirs === we) continue;
    differ.push(call);
    if (!(call in DIFFER))
      console.log(
        `    ${call}\n      mpathpersist ${JSON.stringify(theirs)}\n      pathpersist  ${JSON.stringify(we)}`,
      );
  }
  assert.deepEqual([...new Set(differ)].toSorted(), Object.keys(DIFFER).toSorted());
});

test("a path that dies and returns is registered again by both", async () => {
  afterwards(async () => void (await daemon?.stop()));
  const keys = async (): Promise<string[]> => {
    const texts = [attempt("mpathpersist", ["-i", "-k", MULTIPATH_DEVICE]), await ours(["-i", "-k", OURS])];
    return texts.map(({ stdout }) => String(stdout.match(/0xa1$/gm)?.length ?? 0));
  };
  run("mpathpersist", "-o", "-I", "-S", "a1", MULTIPATH_DEVICE);
  assert.equal((await ours(["-o", "-I", "-S", "a1", OURS])).status, 0);
  assert.deepEqual(await keys(), ["4", "4"]);
  for (const path of [0, 1]) array.setPath(path, false);
  run("mpathpersist", "-o", "-G", "-K", "a1", "-S", "0", MULTIPATH_DEVICE);
  assert.equal((await ours(["-o", "-G", "-K", "a1", "-S", "0", OURS])).status, 0);
  run("mpathpersist", "-o", "-I", "-S", "a1", MULTIPATH_DEVICE);
  assert.equal((await ours(["-o", "-I", "-S", "a1", OURS])).status, 0);
  for (const path of [0, 1]) array.setPath(path, true);
  await until("both have registered every path", async () => String(await keys()) === "4,4");
});
