import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import test from "ava";
import fc from "fast-check";
import { parse } from "smol-toml";

import { importText, tomlText } from "../../../host/cli/multipath/import.ts";
import { parseMultipathConf } from "../../../host/cli/multipath/parse.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { checkConfiguration } from "../../../host/control/configuration.ts";
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

const lineOf = (notes: readonly { keyword: string; line: number }[], keyword: string): number | undefined =>
  notes.find((note) => note.keyword === keyword)?.line;

test("each keyword is taken, or ignored with the reason", (t) => {
  const { configuration, taken, ignored, errors } = importText(EXAMPLE);
  t.deepEqual(errors, []);
  t.deepEqual(configuration, {
    devices: "all",
    exclude: [{ identity: "naa.600508b1001c4d9cd7ba8a5e0a0b0c0d" }, { vendor: "HP", product: "*LOGICAL*" }],
    failback: "active",
    policy: "service-time",
    patrol: { interval_s: 10, timeout_s: 8 },
    timeouts: { no_path_ms: 120_000 },
    log: { level: "info" },
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

test("an empty file takes every device, as multipath does", (t) => {
  t.deepEqual(importText("").configuration, { devices: "all" });
});

test("everything blacklisted but exceptions: those are the devices", (t) => {
  const text = `blacklist {\n devnode ".*"\n}\nblacklist_exceptions {\n device {\n vendor "^NEC"\n }\n wwid "3600601*"\n}`;
  const { configuration, errors } = importText(text);
  t.deepEqual(errors, []);
  t.deepEqual(configuration, { devices: [{ vendor: "NEC*" }, { identity: "naa.600601*" }] });
});

const settings: readonly (readonly [string, object])[] = [
  ['path_selector "round-robin 0"', { policy: "round-robin" }],
  ['path_selector "queue-length 0"', { policy: "least-in-flight" }],
  ['path_selector "historical-service-time 0"', { policy: "historical-service-time" }],
  ['path_selector "round-robin 0"\nrr_min_io_rq 8', { policy: { name: "round-robin", ios: 8 } }],
  ['path_selector "service-time 0"\nrr_min_io 8', { policy: "service-time" }],
  ["path_grouping_policy failover", { policy: "static" }],
  ["no_path_retry fail", { timeouts: { no_path_ms: 0 } }],
  ["no_path_retry queue", { timeouts: { no_path_ms: 86_400_000 } }],
  ["no_path_retry 12\npolling_interval 2", { timeouts: { no_path_ms: 24_000 }, patrol: { interval_s: 2 } }],
  ['features "1 queue_if_no_path"', { timeouts: { no_path_ms: 86_400_000 } }],
  ["failback manual", { failback: "standby" }],
  ["marginal_path_err_sample_time 120", { shaky: { window_s: 120 } }],
  ["san_path_err_threshold 10", { shaky: { count: 10 } }],
  ["san_path_err_threshold 40", { shaky: { count: 16 } }],
];

for (const [text, expected] of settings) {
  test(`taken over: ${text.replace("\n", ", ")}`, (t) => {
    const converted = importText(`defaults {\n${text}\n}`);
    t.deepEqual(converted.errors, []);
    t.deepEqual(converted.configuration, { devices: "all", ...expected });
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

test("overrides are stronger than defaults, wherever they stand", (t) => {
  const text = "overrides {\nno_path_retry fail\n}\ndefaults {\nno_path_retry queue\n}\n";
  t.like(importText(text).configuration, { timeouts: { no_path_ms: 0 } });
});

const mistakes: readonly (readonly [string, number, number, RegExp])[] = [
  ["defaults {\n  polling_intervall 5\n}", 2, 3, /^polling_intervall: no keyword/],
  ["defaults {\n  polling_interval 0\n}", 2, 20, /polling_interval: must be a whole number from 1 to 3600, not 0/],
  ["defaults {\n  polling_interval\n}", 2, 3, /polling_interval has no value/],
  ['defaults {\n  path_selector "fastest 0"\n}', 2, 17, /unknown selector fastest 0/],
  ['defaults {\n  path_selector "service-time 0\n}', 2, 17, /quoted value is not ended/],
  ["defaults {\n  path_selector service-time 0\n}", 2, 30, /0 is too much/],
  ["defaults {\n  failback immediate\n", 1, 1, /section defaults is not closed/],
  ["}\n", 1, 1, /closing brace without a section/],
  ["{\n}\n", 1, 1, /brace without the name/],
  ["default {\n}\n", 1, 1, /default is no section; there are defaults/],
  ["verbosity 2\n", 1, 1, /verbosity is no section/],
  ["multipaths {\n multipath {\n  alias x\n }\n}", 2, 2, /needs its wwid/],
  ["multipaths {\n multipath {\n  wwid ???\n }\n}", 3, 8, /\?\?\? is no identity/],
  ["multipaths {\n multipath {\n  wwid 3600508b1001c4d9c\n  verbosity 2\n }\n}", 4, 3, /does not belong/],
  ["blacklist {\n device {\n }\n}", 2, 2, /needs vendor or product/],
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

test("quotes, comments, several statements on a line", (t) => {
  const { statements, problems } = parseMultipathConf(
    '! a comment\nblacklist { wwid "a ""quoted"" word" # comment {\n devnode !x }\r\n',
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
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const text = pieces.join("");
      const lines = text.split(/\r?\n/);
      for (const { line, column } of importText(text).errors) {
        if (line < 1 || line > lines.length || column < 1 || column > (lines[line - 1]?.length ?? 0) + 1) return false;
      }
      return true;
    }),
  );
  t.pass();
});

test("pathctl import multipath.conf FILE: TOML on standard output, mistakes on standard error", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-import-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "multipath.conf");
  await writeFile(file, EXAMPLE);
  const good = await run(pathctl, ["import", "multipath.conf", file]);
  t.deepEqual([good.status, good.err], [0, ""]);
  t.like(checkConfiguration(good.out, "made.toml"), { ok: true });
  await writeFile(file, "defaults {\n  failback sometimes\n  speed 3\n}\n");
  t.deepEqual(await run(pathctl, ["import", "multipath.conf", file]), {
    status: 1,
    out: "",
    err:
      `${file}:2:12: failback: must be a whole number from 1 to 86400, not sometimes\n` +
      `${file}:3:3: speed: no keyword of multipath.conf\n`,
  });
  const json = JSON.parse((await run(pathctl, ["import", "multipath.conf", file, "--json"])).out);
  t.like(json, { toml: null });
  t.is(json.errors.length, 2);
});
