import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import test from "ava";
import fc from "fast-check";
import { parse } from "smol-toml";

import { importText, tomlText } from "../../../host/cli/multipath/import.ts";
import { parseMultipathConf } from "../../../host/cli/multipath/parse.ts";
import { BUILT_IN, USB } from "../../../host/cli/multipath/blacklist.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { run } from "./server.ts";

const EXAMPLE = `# as a distribution ships it
defaults {
	user_friendly_names yes
	polling_interval 10   # seconds
	path_selector "service-time 0"
	path_grouping_policy	group_by_prio
	failback immediate
	no_path_retry 12
	verbosity 3
	max_fds 8192
}
blacklist {
	devnode "^(ram|raw|loop|fd|md|dm-|sr|scd|st)[0-9]*"
	wwid 3600508b1001c4d9cd7ba8a5e0a0b0c0d
	device {
		vendor "^HP$"
		product "LOGICAL.*"
	}
}
blacklist_exceptions { property "(SCSI_IDENT_|ID_WWN)" }
devices {
	device {
		vendor "NEC"
		product "DISK ARRAY"
		path_checker tur
		no_path_retry queue
	}
}
multipaths {
	multipath {
		wwid 360060e8012345678901234567890abcd
		alias "database"
		path_grouping_policy failover
		no_path_retry fail
	}
}
overrides {
	fast_io_fail_tmo 5
	checker_timeout 8
	protocol {
		type "scsi:fcp"
		dev_loss_tmo 60
	}
}
`;

/** What is excluded without a word in the file, as multipath-tools does. */
const ALWAYS = [...BUILT_IN, USB];

const lineOf = (notes: readonly { keyword: string; line: number }[], keyword: string): number | undefined =>
  notes.find((note) => note.keyword === keyword)?.line;

test("each keyword is taken, or ignored with the reason", (t) => {
  const { configuration, taken, ignored, errors } = importText(EXAMPLE);
  t.deepEqual(errors, []);
  t.deepEqual(configuration, {
    devices: "all",
    exclude: [
      { vendor: { regex: "^HP$" }, product: { regex: "LOGICAL.*" } },
      ...BUILT_IN,
      { identity: "naa.600508b1001c4d9cd7ba8a5e0a0b0c0d" },
      USB,
    ],
    failback: "active",
    policy: "service-time",
    patrol: { interval_s: 10, timeout_s: 8 },
    timeouts: { no_path_ms: 120_000 },
    log: { level: "info" },
    arrays: [
      {
        vendor: { regex: "NEC" },
        product: { regex: "DISK ARRAY" },
        timeouts: { no_path_ms: 86_400_000 },
      },
    ],
    units: [
      {
        identity: "naa.60060e8012345678901234567890abcd",
        name: "database",
        policy: "static",
        timeouts: { no_path_ms: 0 },
      },
    ],
  });
  t.is(lineOf(taken, "polling_interval"), 4);
  t.is(lineOf(ignored, "user_friendly_names"), 3);
  t.is(lineOf(ignored, "max_fds"), 10);
  t.is(lineOf(ignored, "protocol"), 40);
  t.true(ignored.every((note) => note.text.length > 10));
});

test("the printed TOML is a valid configuration that says the same", (t) => {
  const converted = importText(EXAMPLE);
  const toml = tomlText(converted, "/etc/multipath.conf");
  t.deepEqual(parse(toml) as unknown, converted.configuration as unknown);
  t.like(checkConfiguration(toml, "made.toml"), { ok: true });
  t.regex(toml, /# line 3: user_friendly_names ignored: units are named/);
});

test("control characters in what is ignored do not end the comment that tells of it", (t) => {
  const toml = tomlText(importText("defa\u0001ults_retry 5\nx\u007f\u000b y\u0000\n"), "multipath\r.conf");
  t.true(checkConfiguration(toml, "FILE").ok, toml);
  t.regex(toml, /defa\\x01ults_retry/);
  t.notRegex(toml, /\r/);
});

test("an empty file takes every device but those that multipath-tools leaves out by itself", (t) => {
  t.deepEqual(importText("").configuration, { devices: "all", exclude: ALWAYS });
});

const settings: readonly (readonly [string, object])[] = [
  ['path_selector "round-robin 0"', { policy: "round-robin" }],
  ['path_selector "queue-length 0"', { policy: "least-in-flight" }],
  ['path_selector "historical-service-time 0"', { policy: "historical-service-time" }],
  ['path_selector "round-robin 0"\nrr_min_io_rq 8', { policy: { name: "round-robin", ios: 8 } }],
  ['path_selector "service-time 0"\nrr_min_io 8', { policy: "service-time" }],
  ["path_grouping_policy failover", { policy: "static" }],
  ["no_path_retry fail", { timeouts: { no_path_ms: 0 } }],
  ["no_path_retry 65535", { timeouts: { no_path_ms: 86_400_000 } }],
  ["no_path_retry -1", { timeouts: { no_path_ms: 5000 } }],
  ['no_path_retry 2\nfeatures "1 queue_if_no_path"', { timeouts: { no_path_ms: 10_000 } }],
  ["polling_interval 86400", { patrol: { interval_s: 3600 } }],
  ["failback -1", {}],
  ["failback 0", {}],
  ["no_path_retry queue", { timeouts: { no_path_ms: 86_400_000 } }],
  ["no_path_retry 12\npolling_interval 2", { timeouts: { no_path_ms: 24_000 }, patrol: { interval_s: 2 } }],
  ['features "1 queue_if_no_path"', { timeouts: { no_path_ms: 86_400_000 } }],
  ["failback manual", { failback: "standby" }],
  ["marginal_path_err_sample_time 120", { marginal: { window_s: 120 } }],
  ["san_path_err_threshold 10", { marginal: { count: 10 } }],
  ["san_path_err_threshold 40", { marginal: { count: 16 } }],
];

for (const [text, expected] of settings) {
  test(`taken over: ${text.replace("\n", ", ")}`, (t) => {
    const converted = importText(`defaults {\n${text}\n}`);
    t.deepEqual(converted.errors, []);
    t.deepEqual(converted.configuration, { devices: "all", exclude: ALWAYS, ...expected });
    t.like(checkConfiguration(tomlText(converted, "x"), "x"), { ok: true });
  });
}

test("an alias that looks like the numbered name of another unit is not taken over", (t) => {
  const text = "multipaths {\n multipath {\n  wwid 3600508b1001c4d9c\n  alias lu1\n }\n}";
  const { configuration, ignored, errors } = importText(text);
  t.deepEqual(errors, []);
  t.deepEqual(configuration.units, [{ identity: "naa.600508b1001c4d9c" }]);
  t.is(lineOf(ignored, "alias"), 4);
});

test("an alias that looks like an identity is not taken over", (t) => {
  const text = "multipaths {\n multipath {\n  wwid 3600508b1001c4d9c\n  alias naa.6001\n }\n}";
  const { configuration, ignored, errors } = importText(text);
  t.deepEqual(errors, []);
  t.deepEqual(configuration.units, [{ identity: "naa.600508b1001c4d9c" }]);
  t.is(lineOf(ignored, "alias"), 4);
});

test("overrides are stronger than defaults, wherever they stand", (t) => {
  const text = "overrides {\nno_path_retry fail\n}\ndefaults {\nno_path_retry queue\n}\n";
  t.like(importText(text).configuration, { timeouts: { no_path_ms: 0 } });
});

/** Sections of `devices`, what stands around them, and the entries of [[arrays]]. */
const ofArrays: readonly (readonly [string, string, string, object[]])[] = [
  [
    "what it does not set is as for all",
    "path_grouping_policy failover",
    'vendor "X"\n path_selector "queue-length 0"',
    [{ vendor: { regex: "X" }, policy: "static" }],
  ],
  [
    "grouping of its own",
    "path_grouping_policy failover",
    'vendor "X"\n path_selector "queue-length 0"\n path_grouping_policy multibus',
    [{ vendor: { regex: "X" }, policy: "least-in-flight" }],
  ],
  [
    "checks of the system's interval",
    "polling_interval 3",
    'product "^A B$"\n revision "9[0-9]"\n no_path_retry 4',
    [{ product: { regex: "^A B$" }, revision: { regex: "9[0-9]" }, timeouts: { no_path_ms: 12_000 } }],
  ],
  [
    "a mark of exclamation is none of negation",
    "",
    'vendor "!X"\n no_path_retry fail',
    [{ vendor: { regex: "!X" }, timeouts: { no_path_ms: 0 } }],
  ],
  [
    "the last section for an array comes first",
    "",
    "vendor X\n no_path_retry fail\n }\n device {\n vendor X\n no_path_retry 1",
    [
      { vendor: { regex: "X" }, timeouts: { no_path_ms: 5000 } },
      { vendor: { regex: "X" }, timeouts: { no_path_ms: 0 } },
    ],
  ],
  ["without the array it is for", "", "no_path_retry fail", []],
  ["nothing that is set for an array", "", 'vendor X\n prio alua\n failback manual\n path_checker "tur"', []],
];

for (const [name, defaults, section, arrays] of ofArrays) {
  test(`devices become [[arrays]]: ${name}`, (t) => {
    const converted = importText(`devices {\n device {\n ${section}\n }\n}\ndefaults {\n ${defaults}\n}\n`);
    t.deepEqual(converted.errors, []);
    t.deepEqual(converted.configuration.arrays ?? [], arrays);
    t.like(checkConfiguration(tomlText(converted, "x"), "x"), { ok: true });
  });
}

test("overrides are stronger than devices", (t) => {
  const text =
    "devices {\n device {\n vendor X\n no_path_retry 1\n rr_min_io 7\n }\n}\noverrides {\nno_path_retry fail\n}\n";
  const { configuration, ignored } = importText(text);
  t.deepEqual(configuration.arrays, [{ vendor: { regex: "X" }, policy: { name: "round-robin", ios: 7 } }]);
  t.is(lineOf(ignored, "no_path_retry"), 4);
});

test("an array's expression that is none is a mistake", (t) => {
  const [first] = importText('devices {\n device {\n vendor "("\n no_path_retry 1\n }\n}').errors;
  t.regex(first?.message ?? "", /^vendor: \( is no regular expression/);
});

const mistakes: readonly (readonly [string, number, number, RegExp])[] = [
  ["defaults {\n  polling_interval 0\n}", 2, 20, /polling_interval: must be a whole number of 1 or more, not 0/],
  ["defaults {\n  polling_interval\n}", 2, 3, /polling_interval has no value/],
  ['defaults {\n  path_selector "fastest 0"\n}', 2, 17, /unknown selector fastest 0/],
  ['defaults {\n  path_selector "service-time 0\n}', 2, 17, /quoted value is not ended/],
  ["defaults {\n  failback immediate\n", 1, 1, /section defaults is not closed/],
  ["}\n", 1, 1, /closing brace without a section/],
  ["{\n}\n", 1, 1, /brace without the name/],
  ["multipaths {\n multipath {\n  alias x\n }\n}", 2, 2, /needs its wwid/],
  ["multipaths {\n multipath {\n  wwid ???\n }\n}", 3, 8, /\?\?\? is no identity/],
  ["blacklist {\n verbosity 1\n}", 2, 2, /no keyword of a blacklist/],
];

for (const [text, line, column, message] of mistakes) {
  test(`a mistake with line and column: ${JSON.stringify(text)}`, (t) => {
    const { errors } = importText(text);
    const [first] = errors;
    t.regex(first?.message ?? "", message);
    t.is(first?.line, line);
    t.is(first?.column, column);
  });
}

/** What multipath-tools reads, with or without a word of complaint, and has no meaning for us: a note, no error. */
const notes: readonly (readonly [string, string, number])[] = [
  ["defaults {\n  polling_intervall 5\n}", "polling_intervall", 2],
  ["defaults {\n  uid 0\n  gid 0\n  mode 0600\n  replace_wwid_whitespace yes\n}", "replace_wwid_whitespace", 5],
  ["default {\n foo 1\n}\n", "default", 1],
  ["defaults {\n foo {\n bar 1\n }\n}\n", "foo", 2],
  ["verbosity 2\n", "verbosity", 1],
  ["multipaths {\n multipath {\n  wwid 3600508b1001c4d9c\n  verbosity 2\n }\n}", "verbosity", 4],
  ["multipaths {\n verbosity 2\n}", "verbosity", 2],
  ["blacklist {\n device {\n }\n}", "device", 2],
  ["devices {\n device {\n  vendor x\n  hardware_handler 1 alua\n  no_path_retry 65535\n }\n}", "hardware_handler", 4],
  ["defaults {\n  path_selector service-time 0\n}", "path_selector", 2],
  ['blacklist {\n devnode "^(ram|raw|loop|fd|md|dm-|sr|scd|st)[0-9]*"\n}', "devnode", 2],
  ['blacklist {\n protocol "nvme:.*"\n}', "protocol", 2],
];

for (const [text, keyword, line] of notes) {
  test(`a note, no error: ${JSON.stringify(text)}`, (t) => {
    const { errors, ignored } = importText(text);
    t.deepEqual(errors, []);
    t.is(lineOf(ignored, keyword), line);
  });
}

test("a brace may open a section on the next line, behind comments and empty lines, too", (t) => {
  const { configuration, errors } = importText(
    "defaults\n{\n polling_interval 7\n}\ndefaults # x\n\n# y\n{ verbosity 4\n}\n",
  );
  t.deepEqual(errors, []);
  t.like(configuration, { patrol: { interval_s: 7 }, log: { level: "debug" } });
});

const doubles: readonly (readonly [string, number, RegExp])[] = [
  ["multipath {\n wwid W1\n}\nmultipath {\n wwid W1\n}", 6, /wwid: W1 stands in line 3 already; keep one/],
  ["multipath {\n wwid W1\n alias a\n}\nmultipath {\n alias a\n wwid W2\n}", 7, /alias: a stands in line 4 already/],
];

for (const [text, line, message] of doubles) {
  test(`two sections for one unit, or one name, are a mistake: ${JSON.stringify(text)}`, (t) => {
    const [w1, w2] = ["3600508b1001c4d9c", "36005076801234567890123456789abcd"];
    const whole = `multipaths {\n${text}\n}`.replaceAll("W1", w1 ?? "").replaceAll("W2", w2 ?? "");
    const { errors } = importText(whole);
    t.is(errors.length, 1);
    t.is(errors[0]?.line, line);
    t.regex((errors[0]?.message ?? "").replaceAll(w1 ?? "", "W1"), message);
  });
}

test("quotes, comments, several statements on a line", (t) => {
  const { statements, problems } = parseMultipathConf(
    '! a comment\nblacklist { wwid "a ""quoted"" word" # comment {\n devnode "!x" devnode x!y\r\n}',
  );
  t.deepEqual(problems, []);
  const [section] = statements;
  t.like(section, { kind: "section", name: "blacklist" });
  t.deepEqual(
    section?.kind === "section" ? section.body.map((inner) => (inner.kind === "value" ? inner.value : "")) : [],
    ['a "quoted" word', "!x"],
  );
});

test("no text breaks the parser, and every place lies in the text", (t) => {
  const piece = fc.constantFrom("defaults", "{", "}", '"', '""', "#", "!", "\n", " ", "\t", "wwid", "device", "x", "é");
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join("");
        const lines = text.split(/\r?\n/);
        for (const { line, column } of importText(text).errors) {
          if (line < 1 || line > lines.length || column < 1 || column > (lines[line - 1]?.length ?? 0) + 1)
            return false;
        }
        return true;
      }),
    ),
  );
});

test("the files of conf.d beside the file are read after it, and their mistakes name them", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-import-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "multipath.conf");
  const more = join(folder, "multipath", "conf.d");
  await mkdir(more, { recursive: true });
  await writeFile(file, "defaults {\n polling_interval 3\n verbosity 3\n}\n");
  await writeFile(join(more, "b.conf"), "defaults {\n polling_interval 9\n}\n");
  await writeFile(join(more, "a.conf"), "defaults {\n polling_interval 8\n}\nblacklist {\n wwid 3600\n}\n");
  await writeFile(join(more, "z.txt"), "no { such file }");
  const { out, err, status } = await run(pathctl, ["import", "multipath.conf", file]);
  t.deepEqual([status, err], [0, ""]);
  const made = parse(out);
  t.like(made, { patrol: { interval_s: 9 }, log: { level: "info" } });
  t.true(JSON.stringify(made["exclude"]).includes('{"wwid":{"regex":"3600"}}'));
  t.true(out.includes(`# ${join(more, "a.conf")}:2: polling_interval: patrol.interval_s = 8`));
  await writeFile(join(more, "c.conf"), "blacklist {\n property ID_ATA\n}\n");
  const bad = await run(pathctl, ["import", "multipath.conf", file]);
  t.is(bad.status, 1);
  t.regex(bad.err, /\/multipath\/conf\.d\/c\.conf:2:2: property: udev properties are not read/);
  const elsewhere = await run(pathctl, ["import", "multipath.conf", file, "--config-dir", folder]);
  t.deepEqual([elsewhere.status, elsewhere.err], [0, ""]);
  t.is((await run(pathctl, ["import", "multipath.conf", file, "--config-dir", join(folder, "none")])).status, 1);
});

test("pathctl import multipath.conf FILE: TOML on standard output, mistakes on standard error", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-import-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "multipath.conf");
  await writeFile(file, EXAMPLE);
  const good = await run(pathctl, ["import", "multipath.conf", file]);
  t.deepEqual([good.status, good.err], [0, ""]);
  t.like(checkConfiguration(good.out, "made.toml"), { ok: true });
  await writeFile(file, "defaults {\n  failback sometimes }\n  }\n");
  t.deepEqual(await run(pathctl, ["import", "multipath.conf", file]), {
    status: 1,
    out: "",
    err:
      `${file}:2:12: failback: must be a whole number of 1 or more, not sometimes\n` +
      `${file}:3:3: a closing brace without a section\n`,
  });
  const json = JSON.parse((await run(pathctl, ["import", "multipath.conf", file, "--json"])).out);
  t.like(json, { toml: null });
  t.is(json.errors.length, 2);
});
