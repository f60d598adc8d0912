// Parses the command line of `pathpersist`, which is that of mpathpersist(8): short options may be joined, long ones shortened.

import { keyOf, type InAction, type OutAction } from "../../discovery/persistent-reservations.ts";

/** Exit statuses of mpathpersist. */
export const EXIT_SYNTAX = 1;

interface Common {
  readonly device: string;
  /** Print the device's answer in hexadecimal digits as well. */
  readonly hex: boolean;
}

export type Request =
  | ({ readonly kind: "in"; readonly action: InAction; readonly bytes: number | null } & Common)
  | ({
      readonly kind: "out";
      readonly action: OutAction;
      readonly key: string;
      readonly serviceActionKey: string;
      readonly type: number;
      readonly aptpl: boolean;
      readonly allTargetPorts: boolean;
    } & Common);

interface Call {
  /** Null where only a file was named. */
  readonly request: Request | null;
  readonly batchFile: string | null;
}

export type ParsedCall =
  { readonly ok: true; readonly call: Call } | { readonly ok: false; readonly message: string | null };

interface Option {
  readonly short: string;
  readonly long: string;
  /** What its value is called in the help; null when it has none. */
  readonly value: string | null;
  readonly does: string;
}

export const PERSIST_OPTIONS: readonly Option[] = [
  { short: "v", long: "verbose", value: "level", does: "accepted for compatibility; the daemon writes the log" },
  {
    short: "d",
    long: "device",
    value: "DEVICE",
    does: "the unit: /dev/nbdN, /dev/pathmanager/NAME, its number or name, or one of its paths",
  },
  { short: "f", long: "batch-file", value: "FILE", does: "carry out the commands in FILE, one a line" },
  { short: "h", long: "help", value: null, does: "print this help" },
  { short: "H", long: "hex", value: null, does: "print the device's answer in hexadecimal digits, too" },
  { short: "i", long: "in", value: null, does: "PERSISTENT RESERVE IN" },
  { short: "o", long: "out", value: null, does: "PERSISTENT RESERVE OUT" },
  { short: "k", long: "read-keys", value: null, does: "IN: the registered keys" },
  { short: "r", long: "read-reservation", value: null, does: "IN: the reservation" },
  { short: "c", long: "report-capabilities", value: null, does: "IN: what the device can do" },
  { short: "s", long: "read-full-status", value: null, does: "IN: every registration with its ports" },
  { short: "l", long: "alloc-length", value: "LEN", does: "IN: bytes to ask for, 0 to 8192" },
  { short: "G", long: "register", value: null, does: "OUT: register --param-sark; 0 unregisters" },
  { short: "I", long: "register-ignore", value: null, does: "OUT: the same, whatever key is registered now" },
  { short: "R", long: "reserve", value: null, does: "OUT: reserve" },
  { short: "L", long: "release", value: null, does: "OUT: release" },
  { short: "C", long: "clear", value: null, does: "OUT: remove the reservation and all registrations" },
  { short: "P", long: "preempt", value: null, does: "OUT: remove the registrations of --param-sark" },
  { short: "A", long: "preempt-abort", value: null, does: "OUT: the same, and abort the commands of that host" },
  { short: "K", long: "param-rk", value: "RK", does: "OUT: the key that this host is registered with" },
  { short: "S", long: "param-sark", value: "SARK", does: "OUT: the new key, or the key to remove" },
  {
    short: "T",
    long: "prout-type",
    value: "TYPE",
    does: "OUT: type of the reservation, in hexadecimal digits: 1, 3, 5, 6, 7 or 8",
  },
  { short: "Y", long: "param-alltgpt", value: null, does: "OUT: ALL_TG_PT; without it, if the device can" },
  { short: "Z", long: "param-aptpl", value: null, does: "OUT: APTPL; without it, if the device can" },
  {
    short: "X",
    long: "transport-id",
    value: "TIDS",
    does: "not supported: the daemon registers this host's own ports",
  },
];

const IN_OF: ReadonlyMap<string, InAction> = new Map([
  ["k", "keys"],
  ["r", "reservation"],
  ["c", "capabilities"],
  ["s", "full-status"],
]);

const OUT_OF: ReadonlyMap<string, OutAction> = new Map([
  ["G", "register"],
  ["I", "register-ignore"],
  ["R", "reserve"],
  ["L", "release"],
  ["C", "clear"],
  ["P", "preempt"],
  ["A", "preempt-abort"],
]);

/** Options as given, by their short names, and what else there is. */
interface Given {
  readonly options: readonly (readonly [short: string, value: string])[];
  readonly words: readonly string[];
}

class Misuse extends Error {}

function longOption(text: string): Option {
  const exact = PERSIST_OPTIONS.find(({ long }) => long === text);
  const like = PERSIST_OPTIONS.filter(({ long }) => long.startsWith(text));
  const only = exact ?? (like.length === 1 ? like[0] : undefined);
  if (only !== undefined) return only;
  throw new Misuse(like.length === 0 ? `unrecognised option --${text}` : `option --${text} is ambiguous`);
}

function takeApart(args: readonly string[]): Given {
  const options: (readonly [string, string])[] = [];
  const words: string[] = [];
  const rest = [...args];
  const valueFor = ({ long }: Option, given: string | undefined): string => {
    const value = given ?? rest.shift();
    if (value === undefined) throw new Misuse(`option --${long} needs a value`);
    return value;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      words.push(...rest.splice(0));
    } else if (arg.startsWith("--")) {
      const [name = "", ...values] = arg.slice(2).split("=");
      const option = longOption(name);
      const given = values.length === 0 ? undefined : values.join("=");
      if (option.value === null && given !== undefined) throw new Misuse(`option --${option.long} takes no value`);
      options.push([option.short, option.value === null ? "" : valueFor(option, given)]);
    } else if (arg.startsWith("-") && arg.length > 1) {
      for (let at = 1; at < arg.length; at++) {
        const option = PERSIST_OPTIONS.find(({ short }) => short === arg?.[at]);
        if (option === undefined) throw new Misuse(`unrecognised option -${arg[at] ?? ""}`);
        if (option.value === null) options.push([option.short, ""]);
        else {
          const joined = arg.slice(at + 1);
          options.push([option.short, valueFor(option, joined === "" ? undefined : joined)]);
          break;
        }
      }
    } else words.push(arg);
  }
  return { options, words };
}

function keyValue(name: string, text: string | undefined): string {
  const key = text === undefined ? "0x0" : keyOf(text);
  if (key === null)
    throw new Misuse(`bad argument to '--${name}': a key is 1 to 16 hexadecimal digits, not ${text ?? ""}`);
  return key;
}

function typeValue(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^(0[xX])?[0-9a-fA-F]$/.test(text))
    throw new Misuse(`bad argument to '--prout-type': the types are 1, 3, 5, 6, 7 and 8, not ${text}`);
  return Number.parseInt(text, 16);
}

const BYTES_MAX = 8192;

function bytesValue(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,6}$/.test(text)) throw new Misuse(`bad argument to '--alloc-length': ${text}`);
  if (Number(text) > BYTES_MAX) throw new Misuse(`'--alloc-length' argument exceeds maximum limit(${BYTES_MAX})`);
  return Number(text);
}

function requestOf(given: Given): Request | null {
  const values = new Map(given.options);
  const has = (short: string): boolean => values.has(short);
  const ins = given.options.flatMap(([short]) => IN_OF.get(short) ?? []);
  const outs = given.options.flatMap(([short]) => OUT_OF.get(short) ?? []);
  if (!has("i") && !has("o") && has("f")) return null;
  if (has("i") === has("o")) throw new Misuse("choose either '--in' or '--out'");
  const device = values.get("d") ?? given.words[0];
  const extra = given.words.slice(has("d") ? 0 : 1);
  if (extra.length > 0) throw new Misuse(`Unexpected extra argument: ${extra.join(" ")}`);
  if (has("o") && (outs.length !== 1 || ins.length > 0)) {
    throw new Misuse("For Persistent Reserve Out only one appropriate service action must be chosen");
  }
  if (has("i") && outs.length > 0) throw new Misuse("a service action of Persistent Reserve Out needs '--out'");
  if (has("i") && ins.length !== 1) {
    throw new Misuse(
      ins.length === 0
        ? "No service action given for Persistent Reserve IN"
        : "Too many service actions given; choose one only",
    );
  }
  if (has("X"))
    throw new Misuse("--transport-id is not supported: the daemon registers this host's own ports, all of them");
  if (device === undefined) throw new Misuse("No device name given");
  const common = { device, hex: has("H") };
  const [asking] = ins;
  const [ordering] = outs;
  if (asking !== undefined) return { kind: "in", action: asking, bytes: bytesValue(values.get("l")), ...common };
  if (ordering === undefined) throw new Misuse("choose a service action");
  return {
    kind: "out",
    action: ordering,
    key: keyValue("param-rk", values.get("K")),
    serviceActionKey: keyValue("param-sark", values.get("S")),
    type: typeValue(values.get("T")),
    aptpl: has("Z"),
    allTargetPorts: has("Y"),
    ...common,
  };
}

/** Parses the arguments, without the program's name. `message` is null when only the help was asked for. */
export function parsePersist(args: readonly string[], isInFile = false): ParsedCall {
  try {
    const given = takeApart(args);
    if (args.length === 0) throw new Misuse("No parameter used");
    if (given.options.some(([short]) => short === "h")) return { ok: false, message: null };
    const files = given.options.filter(([short]) => short === "f").map(([, value]) => value);
    if (files.length > 0 && isInFile) throw new Misuse("-f option not allowed in batch file");
    if (files.length > 1) throw new Misuse("-f option can be used at most once");
    return { ok: true, call: { request: requestOf(given), batchFile: files[0] ?? null } };
  } catch (thrown) {
    if (thrown instanceof Misuse) return { ok: false, message: thrown.message };
    throw thrown;
  }
}

export function persistUsage(): string {
  const lines = PERSIST_OPTIONS.map(({ short, long, value, does }) => {
    const flags = `--${long}|-${short}${value === null ? "" : ` ${value}`}`;
    return `    ${flags.padEnd(28)} ${does}\n`;
  });
  return `Usage: pathpersist [OPTIONS] [DEVICE]\n Options:\n${lines.join("")}`;
}
