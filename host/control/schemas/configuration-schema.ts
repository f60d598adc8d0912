// The configuration file, /etc/pathmanager/pathmanager.toml. docs/configuration.md says what each key is for.
//
// Keys are in snake case, as usual in TOML, and carry their unit. Every key has a default, so an empty file is a valid
// configuration. Objects are strict: an unknown key is a mistake, not a comment.

import * as z from "zod";
import { compileEre, EreError } from "../../discovery/ere.ts";
import { POLICY_NAMES } from "../../settings/names.ts";
import { REACTORS_MAX } from "../../settings/daemon-settings.ts";
import { SETTINGS } from "../../settings/settings-table.ts";
import { NewUnitName, PathNumber } from "./common.ts";
import { optionalShapeOf, shapeOf } from "./from-table.ts";
import { Receivers } from "./receiver-schema.ts";

const absolutePath = z.string().regex(/^\/./, { error: "must be an absolute path" });

/** `host:port`, `[v6]:port` or `:port`. */
const Listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]]*):\d{1,5}$/, { error: "must be host:port, like 127.0.0.1:10809" });

/** A regular expression; the issue names the mistake in the expression. */
const Regex = z.string().check((context) => {
  try {
    compileEre(context.value);
  } catch (thrown) {
    if (!(thrown instanceof EreError)) throw thrown;
    const message = `is no POSIX extended regular expression: ${thrown.message} (character ${thrown.at + 1})`;
    context.issues.push({ code: "custom", message, input: context.value });
  }
});

/** A pattern in which `*` matches any text, or a regular expression; with `not`, whatever does not match it. */
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

/** One selector: every key in it has to match, and no selector of `except`. */
export const DeviceSelector = SelectorTable.extend({
  except: z.array(SelectorTable.refine(namesSomething, NAMES_NOTHING)).optional(),
}).refine(namesSomething, NAMES_NOTHING);
export type DeviceSelector = z.infer<typeof DeviceSelector>;

const PolicyTable = z.strictObject({
  name: z.enum(POLICY_NAMES),
  ios: z.int().min(1).max(1_000_000).optional(),
  bytes: z.int().min(512).max(4_294_967_295).optional(),
  history_percent: z.int().min(1).max(99).optional(),
});

const Policy = z.union([z.enum(POLICY_NAMES), PolicyTable]);

const Attach = z.union([z.boolean(), z.enum(["nbd", "ublk", "scsi"])]);

const REACTORS = { error: `must be a whole number from 1 to ${REACTORS_MAX}, or "auto"` };
const Reactors = z.union([z.literal("auto"), z.int(REACTORS).min(1, REACTORS).max(REACTORS_MAX, REACTORS)], REACTORS);

const Unit = z.strictObject({
  ...optionalShapeOf("units"),
  identity: z.string().min(1),
  name: NewUnitName.optional(),
  policy: Policy.optional(),
  attach: Attach.optional(),
  timeouts: z.strictObject(optionalShapeOf("timeouts")).optional(),
  alua_explicit: optionalShapeOf("alua").explicit,
  on_no_path: optionalShapeOf("").on_no_path,
});

const NAMES_NO_ARRAY = { error: "names at least one of vendor, product, revision" };

/** Settings of all units of an array. */
const ArraySettings = z
  .strictObject({
    vendor: Pattern.optional(),
    product: Pattern.optional(),
    revision: Pattern.optional(),
    policy: Policy.optional(),
    attach: Attach.optional(),
    timeouts: z.strictObject(optionalShapeOf("timeouts")).optional(),
    alua_explicit: optionalShapeOf("alua").explicit,
    on_no_path: optionalShapeOf("").on_no_path,
  })
  .refine(({ vendor, product, revision }) => (vendor ?? product ?? revision) !== undefined, NAMES_NO_ARRAY);

const PortService = z.strictObject({
  latency_us: z.int().min(0).max(60_000_000).optional(),
  parallelism: z.int().min(1).max(1024).optional(),
  bytes_per_second: z.int().min(1).optional(),
  distribution: z.enum(["constant", "exponential"]).optional(),
});

/** The emulated array. */
export const EmulatedArray = z.strictObject({
  ...shapeOf("array"),
  name: z
    .string()
    .regex(/^[\w .:-]{1,32}$/, { error: "must be 1 to 32 letters, digits or . : - _" })
    .default(SETTINGS["array.name"].default),
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
  { ...shapeOf("sockets.nbd_tcp"), listen: Listen, allow: z.array(AllowRule).default([]) },
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
    ...shapeOf("sockets"),
    nbd_tcp: NbdTcp.optional(),
    api_tcp: z
      .strictObject({
        listen: Listen,
        certificate: absolutePath,
        key: absolutePath,
        token_file: absolutePath,
        read_token_file: absolutePath.optional(),
      })
      .optional(),
  })
  .prefault({});

export const Configuration = z.strictObject({
  ...shapeOf(""),
  devices: z.union([z.literal("all"), z.array(DeviceSelector)]).default([]),
  exclude: z.array(DeviceSelector).default([]),
  policy: Policy.default(SETTINGS.policy.default),
  attach: Attach.default(false),
  reactors: Reactors.default(SETTINGS.reactors.default),
  patrol: z.strictObject(shapeOf("patrol")).prefault({}),
  marginal: z.strictObject(shapeOf("marginal")).prefault({}),
  timeouts: z.strictObject(shapeOf("timeouts")).prefault({}),
  alua: z.strictObject(shapeOf("alua")).prefault({}),
  arrays: z.array(ArraySettings).default([]),
  units: z.array(Unit).default([]),
  receivers: Receivers.default([]),
  sockets: Sockets,
  state: z.strictObject(shapeOf("state")).prefault({}),
  log: z.strictObject(shapeOf("log")).prefault({}),
  limits: z.strictObject(shapeOf("limits")).prefault({}),
  ring: z.strictObject(shapeOf("ring")).prefault({}),
  process: z.strictObject(shapeOf("process")).prefault({}),
  array: EmulatedArray.optional(),
});
export type Configuration = z.infer<typeof Configuration>;
export type InitialPaths = Configuration["initial_paths"];
/** Whether the emulated array is served: only when the file says so, by `emulated` or by an `[array]` section. */
export function isEmulated({ emulated, array, devices }: Configuration): boolean {
  return emulated ?? (array !== undefined && devices.length === 0);
}
/** The contents of the file: every key optional. */
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

/** POST /v1/config/revert. */
export const RevertReport = z
  .object({
    reverted: z
      .array(z.string())
      .meta({ description: "Keys for which the configuration holds again, like policy of #3" }),
  })
  .meta({ id: "RevertReport" });
export type RevertReport = z.infer<typeof RevertReport>;

/** POST /v1/config/accept. */
export const Acceptance = z
  .object({
    accepted: z.array(z.string()).meta({ description: "What was in doubt until now, one sentence each" }),
  })
  .meta({ id: "Acceptance" });
export type Acceptance = z.infer<typeof Acceptance>;
