// The importer against the real multipath-tools: the same files, the same disks; what multipath takes, we take, and only that.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { importFile } from "../../../host/cli/multipath/import.ts";
import { parseMultipathConf, type Statement } from "../../../host/cli/multipath/parse.ts";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { discover } from "../../../host/discovery/discover.ts";
import { nativeTransport } from "../../../host/discovery/native-transport.ts";
import { isSelected, type Selectable } from "../../../host/discovery/select.ts";
import { listSgDevices } from "../../../host/discovery/sysfs.ts";
import { until } from "../../until.ts";
import { attempt, run } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { startUdev } from "../lib/multipath.ts";
import { loadModules, sharedStores } from "../lib/stores.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 300 };

const FILE = "/etc/multipath.conf";
const FOLDER = "/etc/multipath/conf.d";
const TARGET = "/sys/kernel/config/target";
/** Vendor and product of each disk (not ATA: of those udev makes other WWIDs, from ATA's own data); the serial number, which the WWID is made of, is its position. */
const DISKS = [
  ["HP", "LOGICAL VOLUME"],
  ["IBM", "2145"],
  ["Nimble", "Server"],
  ["SEAGATE", "ST4000NM0035"],
  ["LSI", "MR9361-8i"],
  ["nimble", "server"],
  ["EMC", "LUNZ"],
] as const;

/** One path to each disk. */
async function makeDisks(): Promise<void> {
  loadModules(sharedStores);
  const port = join(TARGET, "loopback/naa.6001405000000000/tpgt_1");
  mkdirSync(port, { recursive: true });
  writeText(join(port, "nexus"), "naa.6001405000000001");
  for (const [index, [vendor, product]] of DISKS.entries()) {
    const store = join(TARGET, `core/rd_mcp_0/disk${index}`);
    mkdirSync(store, { recursive: true });
    writeText(join(store, "control"), "rd_pages=256");
    writeText(join(store, "enable"), 1);
    writeText(join(store, "wwn/vendor_id"), vendor);
    writeText(join(store, "wwn/product_id"), product);
    writeText(join(store, "wwn/vpd_unit_serial"), (0x5000 + index).toString(16).padStart(25, "0"));
    const lun = join(port, "lun", `lun_${index}`);
    mkdirSync(lun, { recursive: true });
    symlinkSync(store, join(lun, "disk"));
  }
  await until(
    "every disk has its block device",
    () => listSgDevices().filter(({ blockDevice }) => blockDevice !== null).length === DISKS.length,
  );
  run("modprobe", "dm-multipath");
  startUdev();
}

/** The disks as discovery finds them. */
async function ourDisks(): Promise<Selectable[]> {
  const options = { devices: "all", exclude: [], budgetMs: 5000 } as const;
  const { paths } = await discover(nativeTransport, listSgDevices(), options);
  return paths.map(({ probe, device, number, blockDevice, protocol }) => ({
    identities: [probe.identity.text],
    vendor: probe.vendor,
    product: probe.product,
    device,
    number,
    blockDevice,
    protocol,
  }));
}

function place(main: string, more: string): void {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  // Every device that is not blacklisted, with one path, too: what find_multipaths leaves out is not what is compared.
  writeFileSync(FILE, `defaults {\n find_multipaths greedy\n}\n${main}`);
  if (more !== "") writeFileSync(join(FOLDER, "more.conf"), more);
}

/** Names of the disks that multipath would make maps of. */
function takenByMultipath(): string {
  const { stdout, stderr } = attempt("multipath", ["-v2", "-d"]);
  assert.doesNotMatch(stderr + stdout, /error parsing config file/);
  return [...stdout.matchAll(/- \d+:\d+:\d+:\d+ +(sd[a-z]+) /g)]
    .map(([, name = ""]) => name)
    .toSorted()
    .join(" ");
}

/** Names of the disks that the daemon would take with what the importer makes of the same files. */
function takenByUs(disks: readonly Selectable[]): string {
  const { json } = importFile(FILE, { err: () => undefined });
  const { toml, errors } = json as { toml: string | null; errors: readonly object[] };
  assert.ok(toml !== null, `refused: ${JSON.stringify(errors)}`);
  const checked = checkConfiguration(toml, "made.toml");
  assert.ok(checked.ok);
  const { devices, exclude } = checked.configuration;
  return disks
    .filter((disk) => isSelected(devices, exclude, disk))
    .map(({ blockDevice }) => blockDevice ?? "")
    .toSorted()
    .join(" ");
}

let disks: readonly Selectable[] = [];

test("the disks of the comparison are there, and both see all that multipath-tools leaves to itself", async () => {
  await makeDisks();
  disks = await ourDisks();
  assert.equal(disks.length, DISKS.length);
  place("", "");
  assert.equal(takenByMultipath(), "sda sdb sdc sdd sde sdf");
  assert.equal(takenByUs(disks), takenByMultipath());
});

/** What stands in public files and in the issues of those who wrote them. */
const FILES: readonly string[] = [
  'blacklist {\n device {\n vendor ".*"\n product ".*"\n }\n}\nblacklist_exceptions {\n device {\n vendor "Nimble"\n product "Server"\n }\n}\n',
  'blacklist {\n wwid ".*"\n}\nblacklist_exceptions {\n wwid "360014050000000000000000000050.1"\n}\n',
  'blacklist {\n devnode ".*"\n}\nblacklist_exceptions {\n device {\n vendor "Nimble"\n }\n wwid "3600"\n}\n',
  'blacklist {\n device {\n vendor "(SEAGATE|LSI)"\n }\n}\n',
  'blacklist {\n wwid "!^3600140500000000000000000000500[12].*"\n}\n',
  'blacklist {\n devnode "^sd[a-c]$"\n}\n',
  'blacklist {\n devnode "^(ram|raw|loop|fd|md|dm-|sr|scd|st)[0-9]*"\n devnode "^(td|hd|vd)[a-z]"\n}\n',
  'blacklist\n{\n  device\n  {\n   vendor HP # a comment\n   product "LOGICAL.*"\n  }\n}\n',
  'blacklist {\n protocol "scsi:(ata|unspec)"\n}\n',
  'blacklist {\n protocol "!scsi:fcp"\n}\nblacklist_exceptions {\n protocol "scsi:s.s"\n}\n',
  'devices {\n device {\n vendor "LSI"\n product ".*"\n product_blacklist "MR93.*"\n hardware_handler 1 alua\n failback -1\n }\n}\n',
  'blacklist_exceptions {\n device {\n product "LUNZ"\n }\n}\n',
  'blacklist {\n device {\n }\n device {\n vendor "!(IBM|EMC)"\n }\n}\n',
  'unknown {\n}\ndefaults {\n uid 0\n foo bar\n}\nblacklist {\n device {\n product "[[:digit:]]{4}$"\n }\n}\n',
];

/** Lines of a section, from words that concern these disks. */
const lines = (): fc.Arbitrary<string> => {
  const regex = fc.constantFrom(
    ".*",
    "HP",
    "^IBM$",
    "(SEAGATE|LSI)",
    "Nimble",
    "imble$",
    "500[0-3]$",
    "^3600140",
    "3600140500000000000000000000050",
    "360014050000000000000000000005004",
    "^sd[ab]$",
    "sd",
    "^sd[^c-z]",
    "scsi:(fcp|unspec)",
    "fcp",
    "a+",
    "2?4",
    "[0-9]{4}",
    "LUNZ|VOLUME",
    "",
  );
  const value = fc.tuple(fc.constantFrom("", "", "", "!"), regex).map(([not, text]) => `"${not}${text}"`);
  const keyword = fc.constantFrom("wwid", "devnode", "protocol");
  const comment = fc.constantFrom("", "", " # a comment", " ! another", "   ");
  const line = fc.tuple(keyword, value, comment).map(([name, text, rest]) => ` ${name} ${text}${rest}\n`);
  const brace = fc.constantFrom(" {", "{", "\n {");
  const device = fc.tuple(value, fc.option(value), brace).map(([vendor, product, open]) => {
    const second = product === null ? "" : `  product ${product}\n`;
    return ` device${open}\n  vendor ${vendor}\n${second} }\n`;
  });
  return fc.array(fc.oneof(line, device), { maxLength: 3 }).map((all) => all.join(""));
};

const sectionOf = (name: string, body: string): string => (body === "" ? "" : `${name} {\n${body}}\n`);

function compare(main: string, more: string, seed: string): void {
  place(main, more);
  const [ours, theirs] = [takenByUs(disks), takenByMultipath()];
  assert.equal(ours, theirs, `${seed}: ${ours} in place of ${theirs}, by\n${main}\n--- conf.d:\n${more}`);
}

test("files of the field select the same disks", () => {
  for (const text of FILES) compare(text, "", "no seed");
});

test("random files, with more in conf.d, select the same disks", () => {
  const seed = Date.now();
  const files = fc.sample(fc.tuple(lines(), lines(), lines(), lines()), { numRuns: 25, seed });
  let some = 0;
  for (const [black, white, blackMore, whiteMore] of files) {
    const text = sectionOf("blacklist", black) + sectionOf("blacklist_exceptions", white);
    const more = sectionOf("blacklist", blackMore) + sectionOf("blacklist_exceptions", whiteMore);
    compare(text, more, `seed ${seed}`);
    if (takenByUs(disks) !== "") some += 1;
  }
  assert.ok(some > 2, `only ${some} of the files selected anything`);
});

/** Keyword and value of a section, the last of each. */
function valuesOf(statements: readonly Statement[], section: string): ReadonlyMap<string, string> {
  const bodies = statements.filter((statement) => statement.kind === "section" && statement.name === section);
  const values = bodies.flatMap((body) => (body.kind === "section" ? body.body : []));
  return new Map(values.flatMap((value) => (value.kind === "value" ? [[value.name, value.value] as const] : [])));
}

test("settings are read as multipath -t says that it reads them", () => {
  const text = [
    "defaults",
    "{ # on the next line",
    " polling_interval 7 # seconds",
    ' path_selector "round-robin 0"',
    "\tpath_grouping_policy\tmultibus",
    " no_path_retry 12",
    ' user_friendly_names "yes"!not a word',
    " failback 15 ignored words",
    ' alias_prefix "a ""b"" c"',
    "}",
    "defaults {",
    " no_path_retry 65535",
    "}",
  ].join("\n");
  place(text, "defaults {\n rr_min_io_rq 3\n polling_interval 9\n}\n");
  const { stdout } = attempt("multipath", ["-t"]);
  const theirs = valuesOf(parseMultipathConf(stdout).statements, "defaults");
  const { statements, problems } = parseMultipathConf(`${text}\ndefaults {\n rr_min_io_rq 3\n polling_interval 9\n}\n`);
  assert.deepEqual(problems, []);
  const ours = valuesOf(statements, "defaults");
  assert.ok(ours.size >= 8);
  for (const [name, value] of ours) assert.equal(theirs.get(name), value, name);
});
