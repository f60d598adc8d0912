// The configuration file, /etc/pathmanager/pathmanager.toml. docs/configuration.md says what each key is for.
//
// Keys are in snake case as TOML files have them, and carry their unit. Every key has a default, so an empty file is a
// configuration. Objects are strict: a key that nobody knows is a mistake, not a comment.

import * as z from "zod";
import { compileEre, EreError } from "../../discovery/ere.ts";
import { LOG_LEVELS, SHAKY_COUNT_MAX } from "./words.ts";
import { NewUnitName, PathNumber } from "./common.ts";
import { POLICY_NAMES } from "./unit.ts";

const milliseconds = (max: number) => z.int().min(0).max(max);
const seconds = z.int().min(1).max(3600);
const absolutePath = z.string().regex(/^\/./, { error: "must be an absolute path" });

/** `host:port`, `[v6]:port` or `:port`. */
const Listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]]*):\d{1,5}$/, { error: "must be host:port, like 127.0.0.1:10809" });

/** A regular expression; the issue is about the expression, so it is told in the place of it. */
const Regex = z.string().check((context) => {
  try {
    compileEre(context.value);
  } catch (thrown) {
    if (!(thrown instanceof EreError)) throw thrown;
    const message = `is no POSIX extended regular expression: ${thrown.message} (character ${thrown.at + 1})`;
    context.issues.push({ code: "custom", message, input: context.value });
  }
});

/** A text in which `*` stands for any text, or a regular expression; with `not`, what does not match it. */
const Pattern = z.union([z.string().min(1), z.strictObject({ regex: Regex, not: z.boolean().optional() })]);

const SELECTOR_KEYS = "identity, wwid, vendor, product, block_device, protocol, device, path";

const SelectorTable = z.strictObject({
  identity: Pattern.optional(),
  wwid: Pattern.optional(),
  vendor: Pattern.optional(),
  product: Pattern.optional(),
  block_device: Pattern.optional(),
  protocol: Pattern.optional(),
  device: z
    .string()
    .regex(/^\/dev\/sg\d+$/, { error: "must be a SCSI generic device, like /dev/sg3" })
    .optional(),
  path: PathNumber.optional(),
});

const namesSomething = (selector: object): boolean =>
  Object.entries(selector).some(([key, value]) => key !== "except" && value !== undefined);
const NAMES_NOTHING = { error: `a selector names at least one of ${SELECTOR_KEYS}` };

/** One selector; every key in it has to match, and no selector of `except`. */
export const DeviceSelector = SelectorTable.extend({
  except: z.array(SelectorTable.refine(namesSomething, NAMES_NOTHING)).optional(),
}).refine(namesSomething, NAMES_NOTHING);
export type DeviceSelector = z.infer<typeof DeviceSelector>;

const Timeouts = z.strictObject({
  io_ms: z.int().min(100).max(3_600_000),
  no_path_ms: milliseconds(86_400_000),
  stall_min_ms: z.int().min(1).max(3_600_000),
  stall_max_ms: milliseconds(3_600_000),
  command_ms: milliseconds(3_600_000),
  lost_reset_ms: milliseconds(3_600_000),
  ghost_reset_ms: milliseconds(3_600_000),
});

const PolicyTable = z.strictObject({
  name: z.enum(POLICY_NAMES),
  ios: z.int().min(1).max(1_000_000).optional(),
  bytes: z.int().min(512).max(4_294_967_295).optional(),
  history_percent: z.int().min(1).max(99).optional(),
});

const Policy = z.union([z.enum(POLICY_NAMES), PolicyTable]);

const Unit = z.strictObject({
  identity: z.string().min(1),
  name: NewUnitName.optional(),
  policy: Policy.optional(),
  timeouts: Timeouts.partial().optional(),
  alua_explicit: z.boolean().optional(),
  patrol_read: z.boolean().optional(),
  hedge_budget_percent: z.number().min(0).max(100).optional(),
});

const PortService = z.strictObject({
  latency_us: z.int().min(0).max(60_000_000).optional(),
  parallelism: z.int().min(1).max(1024).optional(),
  bytes_per_second: z.int().min(1).optional(),
  distribution: z.enum(["constant", "exponential"]).optional(),
});

/** The emulated array. */
export const EmulatedArray = z.strictObject({
  name: z
    .string()
    .regex(/^[\w .:-]{1,32}$/, { error: "must be 1 to 32 letters, digits or . : - _" })
    .default("array0"),
  units: z.int().min(1).max(4096).default(2),
  unit_mib: z.int().min(1).max(1_048_576).default(64),
  block_bytes: z.union([z.literal(512), z.literal(4096)]).default(512),
  paths: z.int().min(1).max(32).default(4),
  initiator_ports: z.int().min(1).max(32).default(2),
  controllers: z.int().min(1).max(16).default(2),
  ports_per_controller: z.int().min(1).max(32).optional(),
  first_host: z.int().min(0).max(65_535).default(4),
  access: z.enum(["symmetric", "preferred"]).default("symmetric"),
  group_reports: z.enum(["all", "own"]).default("all"),
  write_cache: z.boolean().default(false),
  identification: z.enum(["designators", "serial-only"]).default("designators"),
  commands: z.enum(["all", "10-byte"]).default("all"),
  directory: absolutePath.optional(),
  service: PortService.optional(),
  ports: z.array(PortService).optional(),
});
export type EmulatedArray = z.infer<typeof EmulatedArray>;

/** Who may open what over TCP. */
export const AllowRule = z
  .strictObject({
    psk: z.string().min(1).optional(),
    subject: z.string().min(1).optional(),
    san: z
      .string()
      .regex(/^(DNS|IP Address|URI|email|DirName|Registered ID):./, {
        error: "must be a name with its type, like DNS:host.example.com or IP Address:192.0.2.7",
      })
      .optional(),
    anyone: z.literal(true).optional(),
    exports: z.union([z.literal("all"), z.array(z.string().min(1)).min(1)]),
    access: z.enum(["read-only", "read-write"]),
  })
  .refine(
    ({ psk, subject, san, anyone }) => [psk, subject, san, anyone].filter((who) => who !== undefined).length === 1,
    {
      error: "a rule is about one of psk, subject, san, anyone",
    },
  );
export type AllowRule = z.infer<typeof AllowRule>;

const NbdTcp = z.strictObject(
  {
    listen: Listen,
    insecure: z.boolean().default(false),
    certificate: absolutePath.optional(),
    key: absolutePath.optional(),
    authorities: absolutePath.optional(),
    psk_file: absolutePath.optional(),
    allow: z.array(AllowRule).default([]),
  },
  {
    error: (issue) =>
      typeof issue.input === "string"
        ? `is a table: { listen = ${JSON.stringify(issue.input)}, ... } with certificate, key and authorities, or with psk_file, or, if everybody who reaches the port may do anything to the data, with insecure = true`
        : undefined,
  },
);
export type NbdTcp = z.infer<typeof NbdTcp>;

const Sockets = z
  .strictObject({
    api: absolutePath.optional(),
    nbd: absolutePath.optional(),
    nbd_tcp: NbdTcp.optional(),
    api_tcp: z
      .strictObject({ listen: Listen, certificate: absolutePath, key: absolutePath, token_file: absolutePath })
      .optional(),
    group: z.string().min(1).default("pathmanager"),
  })
  .prefault({});

const Limits = z
  .strictObject({
    connections: z.int().min(1).max(4096).default(64),
    connections_per_peer: z.int().min(1).max(4096).optional(),
    requests: z.int().min(16).max(65536).default(1024),
    commands: z.int().min(16).max(65536).default(1024),
    pool_mib: z.int().min(32).max(2048).default(64),
    units: z.int().min(1).max(8192).optional(),
    paths: z.int().min(1).max(65536).optional(),
    events: z.int().min(64).max(65536).default(4096),
    path_depth: z.int().min(1).max(128).default(64),
  })
  .prefault({});

const Patrol = z
  .strictObject({
    mode: z.enum(["none", "health", "recovery", "both"]).default("both"),
    interval_s: seconds.optional(),
    threshold_s: seconds.optional(),
    timeout_s: seconds.optional(),
  })
  .prefault({});

const Shaky = z
  .strictObject({
    enabled: z.boolean().default(true),
    count: z.int().min(1).max(SHAKY_COUNT_MAX).default(3),
    window_s: z.int().min(1).max(86_400).default(1800),
    clean_s: z.int().min(0).max(86_400).default(0),
  })
  .prefault({});

const InitialPaths = z.enum(["all", "first-only"]);
export type InitialPaths = z.infer<typeof InitialPaths>;

export const Configuration = z.strictObject({
  emulated: z.boolean().optional(),
  devices: z.union([z.literal("all"), z.array(DeviceSelector)]).default([]),
  exclude: z.array(DeviceSelector).default([]),
  initial_paths: InitialPaths.default("all"),
  profile: z.enum(["default", "classic"]).default("default"),
  failback: z.enum(["active", "standby"]).default("active"),
  cluster: z.boolean().default(false),
  policy: Policy.default("adaptive"),
  patrol: Patrol,
  shaky: Shaky,
  timeouts: z
    .strictObject({
      io_ms: Timeouts.shape.io_ms.default(60_000),
      no_path_ms: Timeouts.shape.no_path_ms.default(30_000),
      stall_min_ms: Timeouts.shape.stall_min_ms.default(25),
      stall_max_ms: Timeouts.shape.stall_max_ms.default(2_000),
      command_ms: Timeouts.shape.command_ms.default(30_000),
      lost_reset_ms: Timeouts.shape.lost_reset_ms.default(2_000),
      ghost_reset_ms: Timeouts.shape.ghost_reset_ms.default(30_000),
    })
    .prefault({}),
  alua: z.strictObject({ explicit: z.boolean().default(false) }).prefault({}),
  units: z.array(Unit).default([]),
  sockets: Sockets,
  state: z
    .strictObject({
      directory: absolutePath.optional(),
      events_max: z.int().min(100).max(1_000_000).default(10_000),
    })
    .prefault({}),
  log: z
    .strictObject({
      file: absolutePath.optional(),
      level: z.enum(LOG_LEVELS).default("info"),
      system: z.boolean().default(true),
    })
    .prefault({}),
  limits: Limits,
  ring: z
    .strictObject({
      backend: z.enum(["auto", "io_uring", "epoll"]).default("auto"),
      look_us: z.int().min(0).max(1000).default(50),
    })
    .prefault({}),
  process: z.strictObject({ nice: z.int().min(-20).max(19).default(-10) }).prefault({}),
  array: EmulatedArray.optional(),
});
export type Configuration = z.infer<typeof Configuration>;
/** Whether the emulated array is served: only when the file says so, by `emulated` or by shaping the array. */
export function isEmulated({ emulated, array, devices }: Configuration): boolean {
  return emulated ?? (array !== undefined && devices.length === 0);
}
/** What may stand in the file: every key optional. */
export type ConfigurationInput = z.input<typeof Configuration>;

/** GET /v1/config. */
export const ConfigurationView = z
  .object({
    file: z.string().nullable(),
    configuration: Configuration.meta({ description: "With every default filled in" }),
    restartNeeded: z.array(z.string()),
  })
  .meta({ id: "ConfigurationView" });
export type ConfigurationView = z.infer<typeof ConfigurationView>;

/** POST /v1/config/reload. */
export const ReloadReport = z
  .object({
    changed: z.array(z.string()).meta({ description: "Keys whose values differ from those in force before" }),
    applied: z.array(z.string()),
    restartNeeded: z.array(z.string()),
    kept: z.array(z.string()).meta({ description: "Keys that a command has set; the command's value stays in force" }),
  })
  .meta({ id: "ReloadReport" });
export type ReloadReport = z.infer<typeof ReloadReport>;

/** POST /v1/config/adopt. */
export const Adoption = z
  .object({
    adopted: z
      .array(z.string())
      .meta({ description: "Keys for which the configuration holds again, like policy of #3" }),
  })
  .meta({ id: "Adoption" });
export type Adoption = z.infer<typeof Adoption>;

/** POST /v1/config/accept. */
export const Acceptance = z
  .object({
    accepted: z.array(z.string()).meta({ description: "What was in doubt until now, one sentence each" }),
  })
  .meta({ id: "Acceptance" });
export type Acceptance = z.infer<typeof Acceptance>;
