// `pathpersist` says what mpathpersist says: its options in every spelling, its output, its exit statuses.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { pathpersist } from "../../../host/cli/pathpersist/main.ts";
import { parsePersist } from "../../../host/cli/pathpersist/persist-command.ts";
import { TestDaemon } from "../control/fixtures/daemon.ts";
import { run } from "./server.ts";

const ONE = "policy = 'static'\n[array]\nunits = 1\npaths = 2\nunit_mib = 1\n";

const calling = (daemon: TestDaemon) => (line: string) => run(pathpersist, line.split(" "), daemon.socket);

test("a fence agent's calls are understood, and what it looks for is printed", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const call = calling(daemon);
  t.deepEqual(await call("-i -k -d 0"), {
    status: 0,
    out: "  PR generation=0x0, \t0 registered reservation key.\n",
    err: "",
  });
  t.like(await call("-o --register --param-sark=aBc -d 0"), { status: 0, out: "" });
  t.is(
    (await call("-i -k -d lu0")).out,
    "  PR generation=0x2, \t2 registered reservation keys follow:\n    0xabc\n    0xabc\n",
  );
  t.is((await call("-i -r -d #0")).out, "  PR generation=0x2, there is NO reservation held \n");
  t.like(await call("-o --reserve --prout-type=5 --param-rk=abc -d 4:0:0:0"), { status: 0, out: "" });
  t.is(
    (await call("-ir 0")).out,
    "  PR generation=0x2, Reservation follows:\n   Key = 0xabc\n  scope = LU_SCOPE, type = Write Exclusive, registrants only\n",
  );
  t.regex(
    (await call("--in --read-full-status 0")).out,
    /^ {2}PR generation=0x2 \n {3}Key = 0xabc\n {6}All target ports bit clear\n {6}Relative port address: 0x1\n {6}<< Reservation holder >>\n {6}scope: LU_SCOPE, {2}type: Write Exclusive, registrants only\n/,
  );
  t.regex(
    (await call("-c -i 0")).out,
    /^Report capabilities response:\n {2}Compatible Reservation Handling\(CRH\): [01]\n/,
  );
  // Shortened long options, joined short ones, and a value joined to its option.
  t.like(await call("--ou --rel --param-r abc -T5 0"), { status: 0 });
  t.like(await call("-oCKabc 0"), { status: 0 });
  t.is((await call("-i -k 0")).out.split("\n")[0], "  PR generation=0x3, \t0 registered reservation key.");
});

test("exit statuses are mpathpersist's, and the reason is told", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const call = calling(daemon);
  const conflict = await call("-o --register --param-rk=5 --param-sark=6 -d 0");
  t.is(conflict.status, 11);
  t.is(conflict.out, "persistent reserve out: scsi status: Reservation Conflict\nPR out: command failed\n");
  t.regex(conflict.err, /not registered/);
  t.is((await call("-o -R -T 4 -K 1 0")).status, 5);
  t.is((await call("-i -k nosuch")).status, 12);
  t.is((await call("-i -k -l 8 0")).out, "  PR generation=0x0, \t0 registered reservation key.\n");
  t.is((await run(pathpersist, ["-i", "-k", "0"], join(daemon.folder, "nobody.sock"))).status, 15);
});

const WRONG: readonly (readonly [line: string, message: RegExp])[] = [
  ["-k 0", /choose either/],
  ["-i -o -k 0", /choose either/],
  ["-i 0", /No service action/],
  ["-i -k -r 0", /Too many/],
  ["-i -G 0", /needs '--out'/],
  ["-o -G -R 0", /only one/],
  ["-o -G -k 0", /only one/],
  ["-i -k", /No device/],
  ["-i -k 0 1", /extra argument: 1/],
  ["-i -k -d 0 1", /extra argument: 1/],
  ["-o -G -S xyz 0", /--param-sark/],
  ["-o -G -S 12345678901234567 0", /16 hexadecimal digits/],
  ["-o -G -K -S 0", /--param-rk/],
  ["-o -R -T g 0", /--prout-type/],
  ["-i -k -l 9000 0", /8192/],
  ["-i -k -l x 0", /--alloc-length/],
  ["-i --re 0", /ambiguous/],
  ["--in=1 -k 0", /takes no value/],
  ["-q", /-q/],
  ["--nonsense", /--nonsense/],
  ["-o -G -S", /needs a value/],
  ["-o -G -S 1 -X iqn.x 0", /transport-id/],
];

for (const [line, message] of WRONG) {
  test(`wrong usage is told: ${line}`, async (t) => {
    const { status, out, err } = await run(pathpersist, line.split(" "), "/nonexistent");
    t.is(status, 1);
    t.is(out, "");
    t.regex(err, message);
    t.regex(err, /Usage: pathpersist/);
  });
}

test("the help is no mistake", async (t) => {
  t.is((await run(pathpersist, ["--help"], "/nonexistent")).status, 0);
  t.deepEqual(parsePersist(["-h"]), { ok: false, message: null });
});

test("a file's lines are all carried out; the first failure is the status", async (t: ExecutionContext) => {
  const daemon = await TestDaemon.start(t, ONE);
  const file = join(daemon.folder, "batch");
  const lines = ["# keys", "mpathpersist -o -G -S 1 0 # register", "", "-o -R -T 5 -K 2 0", "-f x", "-i -k --device=0"];
  writeFileSync(file, lines.join("\n"));
  const { status, out, err } = await run(pathpersist, ["-f", file], daemon.socket);
  t.is(status, 11);
  t.regex(out, /2 registered reservation keys follow/);
  t.regex(err, /syntax error on line 5/);
  t.is((await run(pathpersist, ["-f", join(daemon.folder, "none")], daemon.socket)).status, 12);
});

test("pathctl reservation shows and changes the same", async (t) => {
  const daemon = await TestDaemon.start(t, ONE);
  const call = (line: string) => run(pathctl, ["reservation", ...line.split(" ")], daemon.socket);
  t.regex((await call("show 0")).out, /^#0 {2}this host: not registered\n {4}keys at the device: none/);
  t.regex(
    (await call("register 0 0x12")).out,
    /registered with key 0x12, kept through power loss\n {4}keys at the device: 0x12 x 2/,
  );
  t.regex((await call("reserve 0 5")).out, /holds: Write Exclusive, registrants only \(type 5\), by path 4:0:0:0/);
  t.regex((await call("reserve 0 2")).err, /no type 2/);
  t.regex((await call("register 0 0")).err, /not all of them 0/);
  t.regex((await call("preempt 0 77 --abort --type 5")).err, /conflict/);
  t.regex((await call("release 0 5")).out, /reservation at the device: none/);
  t.regex((await call("unregister 0")).out, /not registered\n/);
});
