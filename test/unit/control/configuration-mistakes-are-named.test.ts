import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { keyPositions, lineOf } from "../../../host/control/settings/configuration-lines.ts";
import { checkConfiguration, loadConfiguration, mistakeText } from "../../../host/control/settings/configuration.ts";
import { ControlError } from "../../../host/control/ground/control-errors.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";

function mistakes(text: string): string[] {
  const checked = checkConfiguration(text, "f.toml");
  return checked.ok ? [] : checked.mistakes.map(mistakeText);
}

const CASES: readonly { title: string; text: string; says: readonly string[] }[] = [
  { title: "text that is not TOML", text: 'a = "x"\nb = \n', says: ["f.toml:2: not TOML: "] },
  {
    title: "a key nobody knows",
    text: "\nfailbak = 1",
    says: ["f.toml:2: failbak: unknown key; did you mean failback?"],
  },
  {
    title: "a key far from every other",
    text: "[log]\ncolour = 1",
    says: ["f.toml:2: log.colour: unknown key; known here: file, level, system"],
  },
  {
    title: "a value out of a list",
    text: 'failback = "a"',
    says: ['f.toml:1: failback: must be one of "active", "standby"'],
  },
  {
    title: "a number below its range",
    text: "[patrol]\ninterval_s = 0",
    says: ["f.toml:2: patrol.interval_s: must be 1 or more"],
  },
  {
    title: "a number above its range",
    text: "patrol.timeout_s = 3601",
    says: ["f.toml:1: patrol.timeout_s: must be 3600 or less"],
  },
  {
    title: "more faults than are remembered",
    text: "[marginal]\ncount = 17",
    says: ["f.toml:2: marginal.count: must be 16 or less"],
  },
  {
    title: "a text for a number",
    text: '[timeouts]\nio_ms = "5"',
    says: ["f.toml:2: timeouts.io_ms: must be a number"],
  },
  {
    title: "a fraction for a whole number",
    text: "timeouts.io_ms = 500.5",
    says: ["f.toml:1: timeouts.io_ms: must be a whole number"],
  },
  { title: "a number for a table", text: "sockets = 1", says: ["f.toml:1: sockets: must be a table"] },
  {
    title: "a selector that selects nothing",
    text: "devices = [\n  { vendor = 'x' },\n  {},\n]",
    says: [
      "f.toml:3: devices[1]: a selector names at least one of identity, wwid, vendor, product, block_device, protocol, device, path",
    ],
  },
  {
    title: "a regular expression that is none",
    text: "devices = [\n  { vendor = { regex = 'a(b' } },\n]",
    says: ["f.toml:2: devices[0].vendor.regex: is no POSIX extended regular expression: ( is not closed (character 2)"],
  },
  {
    title: "a pattern that is neither text nor expression",
    text: "devices = [{ vendor = 5 }]",
    says: ["f.toml:1: devices[0].vendor: must be a string, or a table"],
  },
  {
    title: "an exception that excepts nothing",
    text: "devices = [{ vendor = 'x', except = [{}] }]",
    says: ["f.toml:1: devices[0].except[0]: a selector names at least one of identity"],
  },
  {
    title: "a selector with a key nobody knows",
    text: "[[devices]]\nvendor = 'x'\n[[devices]]\nproduct = 'y'\nwendor = 'x'",
    says: ["f.toml:5: devices[1].wendor: unknown key; did you mean vendor?"],
  },
  {
    title: "the API on TCP without a token",
    text: '[sockets.api_tcp]\nlisten = "0.0.0.0:1"\ncertificate = "/c"\nkey = "/k"',
    says: ["f.toml:1: sockets.api_tcp.token_file: must be a string"],
  },
  {
    title: "NBD over TCP by its address alone, as before there was TLS",
    text: 'sockets.nbd_tcp = "0.0.0.0:10809"',
    says: ['f.toml:1: sockets.nbd_tcp: is a table: { listen = "0.0.0.0:10809", ... } with certificate, key'],
  },
  {
    title: "NBD over TCP without TLS, and nobody has said that this is meant",
    text: '[sockets]\nnbd_tcp = { listen = "127.0.0.1:10809" }',
    says: ["f.toml:2: sockets.nbd_tcp: without TLS everybody who reaches the port, on 127.0.0.1 every user"],
  },
  {
    title: "half of what a certificate needs",
    text: '[sockets.nbd_tcp]\nlisten = ":1"\ncertificate = "/c"\nkey = "/k"',
    says: ["f.toml:3: sockets.nbd_tcp.certificate: needs authorities beside it"],
  },
  {
    title: "a rule about two kinds of clients at once",
    text: '[sockets.nbd_tcp]\nlisten = ":1"\npsk_file = "/p"\n[[sockets.nbd_tcp.allow]]\npsk = "a"\nanyone = true\nexports = "all"\naccess = "read-only"',
    says: ["f.toml:4: sockets.nbd_tcp.allow[0]: a rule is about one of psk, subject, san, anyone"],
  },
  {
    title: "a rule that does not say how",
    text: 'sockets.nbd_tcp = { listen = ":1", insecure = true, allow = [{ anyone = true, exports = "all" }] }',
    says: ['f.toml:1: sockets.nbd_tcp.allow[0].access: must be one of "read-only", "read-write"'],
  },
  {
    title: "a rule about clients that cannot come",
    text: 'sockets.nbd_tcp = { listen = ":1", psk_file = "/p", allow = [{ subject = "CN=a", exports = "all", access = "read-only" }] }',
    says: ["f.toml:1: sockets.nbd_tcp.allow[0].subject: nobody has a certificate"],
  },
  {
    title: "two units of one name",
    text: '[[units]]\nidentity="naa.1"\nname="a"\n[[units]]\nidentity="naa.2"\nname="a"',
    says: ["f.toml:6: units[1].name: another unit has this name"],
  },
  {
    title: "a name that units have by their number",
    text: '[[units]]\nidentity="naa.1"\nname="lu1"',
    says: ["f.toml:3: units[0].name: lu1 is what LogicalUnit #1 is called until it has a name; choose another name"],
  },
  {
    title: "stall bounds that cross",
    text: "[timeouts]\nstall_min_ms = 5000",
    says: ["f.toml:2: timeouts.stall_min_ms: must not be above stall_max_ms (2000)"],
  },
  {
    title: "stall bounds of a unit that cross those of all",
    text: '[[units]]\nidentity = "naa.1"\n[units.timeouts]\nstall_min_ms = 5000',
    says: ["f.toml:4: units[0].timeouts.stall_min_ms: must not be above stall_max_ms (2000)"],
  },
  {
    title: "stall bounds of a unit whose own upper one is below that of all",
    text: '[[units]]\nidentity = "naa.1"\ntimeouts = { stall_max_ms = 5 }',
    says: ["f.toml:3: units[0].timeouts.stall_max_ms: must not be below stall_min_ms (25)"],
  },
  {
    title: "a parameter that the policy does not take",
    text: 'policy = { name = "static", ios = 8 }',
    says: ["f.toml:1: policy.ios: the policy static has no parameter ios; static takes no parameters"],
  },
  {
    title: "a parameter that the policy of a unit does not take",
    text: '[[units]]\nidentity = "naa.1"\n[units.policy]\nname = "round-robin"\nhistory_percent = 5',
    says: ["f.toml:5: units[0].policy.history_percent: the policy round-robin has no parameter history_percent; "],
  },
  {
    title: "a policy whose paths only a command can name",
    text: 'policy = "round-robin-subset"',
    says: ["f.toml:1: policy: round-robin-subset needs paths, which `pathctl unit policy` names"],
  },
];

for (const { title, text, says } of CASES) {
  test(`file, line, key and what is allowed are named: ${title}`, (t) => {
    const said = mistakes(text);
    t.is(said.length, says.length, said.join("\n"));
    for (const [index, expected] of says.entries()) t.true(said[index]?.includes(expected), said[index]);
  });
}

test("all mistakes of a file are told at once, by line", (t) => {
  const said = mistakes("a = 1\nb = 2\n[patrol]\ninterval_s = 0\n");
  t.deepEqual(
    said.map((line) => line.split(":")[1]),
    ["1", "2", "4"],
  );
});

test("an empty file is a configuration, and nothing is taken unless named", (t) => {
  t.deepEqual(mistakes(""), []);
  t.deepEqual(Configuration.parse({}).devices, []);
});

test("a file that was named has to be there; the default one need not be", (t) => {
  const missing = join(mkdtempSync(join(tmpdir(), "pm-")), "none.toml");
  t.is(loadConfiguration(missing, false).file, null);
  const error = t.throws(() => loadConfiguration(missing, true), { instanceOf: ControlError });
  t.is(error?.code, "CONFIGURATION");
  t.true(error?.message.includes(missing));
});

test("a file that is read gives its values over the defaults", (t) => {
  const file = join(mkdtempSync(join(tmpdir(), "pm-")), "a.toml");
  writeFileSync(file, 'devices = "all"\nprofile = "classic"\n[patrol]\ninterval_s = 7\n');
  const { configuration } = loadConfiguration(file, true);
  t.is(configuration.devices, "all");
  t.is(configuration.patrol.interval_s, 7);
  t.is(configuration.timeouts.no_path_ms, 30_000);
});

test("the line of a key is found behind comments, strings of several lines and nested tables", (t) => {
  const text = [
    "# a = 1",
    'b = """',
    "c = 2",
    '"""',
    "[x.'y z'] # [no]",
    "d = [ 1, # ]",
    "  { e = '#' } ]",
    "f = 1",
  ].join("\n");
  const positions = keyPositions(text);
  t.is(lineOf(positions, ["b"]), 2);
  t.is(lineOf(positions, ["c"]), 1);
  t.is(lineOf(positions, ["x", "y z", "d"]), 6);
  t.is(lineOf(positions, ["x", "y z", "d", 1, "e"]), 7);
  t.is(lineOf(positions, ["x", "y z", "f"]), 8);
});

test("no text makes the check throw", (t) => {
  const word = fc.constantFrom(
    "devices",
    "patrol",
    "[",
    "]",
    "[[units]]",
    "=",
    '"',
    "'",
    '"""',
    "{",
    "}",
    ",",
    "\n",
    "1",
    "#",
    ".",
    "é",
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        checkConfiguration(words.join(" "), "f");
        return true;
      }),
      { numRuns: 3000 },
    ),
  );
});
