// `[[receivers]]` of the configuration, and what the API shows of receivers.

import * as z from "zod";
import { Count } from "./common.ts";
import { shapeOf } from "./from-table.ts";

const shape = shapeOf("receivers");

const SYSLOG_ADDRESS = /^(unix:(\/\/)?\/.+|(udp|tcp|tls):\/\/(\[[0-9a-fA-F:.]+\]|[^:/[\]\s]+)(:\d{1,5})?)$/;

/** What each kind needs, and what else it may have. */
const KEYS: Readonly<Record<string, { readonly needs: readonly string[]; readonly may: readonly string[] }>> = {
  webhook: { needs: ["url"], may: ["shape", "secret_file", "authority"] },
  syslog: { needs: ["address"], may: ["authority"] },
  snmp: { needs: ["address"], may: ["version", "confirmed", "community_file", "user", "auth_file", "privacy_file"] },
  journald: { needs: [], may: [] },
  mail: { needs: ["to"], may: ["program"] },
};
const OF_KINDS = new Set(Object.values(KEYS).flatMap(({ needs, may }) => needs.concat(may)));

/** What is wrong with the address or the version of an SNMP receiver; null when nothing is. */
function snmpMistake(value: Record<string, unknown>): readonly [key: string, problem: string] | null {
  if (!String(value["address"] ?? "udp:").startsWith("udp:")) return ["address", "must be udp://host:162 for snmp"];
  const isThird = value["version"] === "3";
  if (isThird && value["user"] === undefined) return ["version", "needs user beside it"];
  if (!isThird && value["community_file"] === undefined)
    return ["kind", "an snmp receiver of version 2c needs community_file"];
  const wrong = (isThird ? ["community_file"] : ["user", "auth_file", "privacy_file"]).find(
    (key) => value[key] !== undefined,
  );
  if (wrong !== undefined) return [wrong, `is not for SNMP version ${isThird ? "3" : "2c"}`];
  if (value["privacy_file"] !== undefined && value["auth_file"] === undefined)
    return ["privacy_file", "needs auth_file beside it"];
  return null;
}

export const ReceiverEntry = z
  .strictObject({
    ...shape,
    name: z.string().regex(/^[\w.-]{1,32}$/, { error: "must be 1 to 32 letters, digits or . - _" }),
    kind: shape.kind.unwrap(),
    shape: shape.shape.unwrap().optional(),
    version: shape.version.unwrap().optional(),
    confirmed: z.boolean().optional(),
    messages: z.array(z.int().min(257).max(65_535)).min(1).optional(),
    units: z.array(z.int().min(0).max(65_535)).min(1).optional(),
    url: z
      .string()
      .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
        error: "must be an https: or http: URL",
      })
      .refine((text) => !URL.canParse(text) || new URL(text).password === "", {
        error: "must not hold a password: it would be shown with the configuration; use secret_file",
      })
      .optional(),
    address: z
      .string()
      .regex(SYSLOG_ADDRESS, { error: "must be unix:/path, udp://host:514, tcp://host:601 or tls://host:6514" })
      .optional(),
    to: z
      .string()
      .regex(/^[^\s,;<>@-][^\s,;<>@]*@[^\s,;<>@]+$|^[a-z_][\w-]*$/, { error: "must be an e-mail address" })
      .optional(),
  })
  .check(({ value, issues }) => {
    const { needs = [], may = [] } = KEYS[value.kind] ?? {};
    const has = (key: string): boolean => (value as Record<string, unknown>)[key] !== undefined;
    for (const key of needs.filter((needed) => !has(needed))) {
      issues.push({ code: "custom", message: `a ${value.kind} receiver needs ${key}`, input: value, path: ["kind"] });
    }
    for (const key of OF_KINDS) {
      if (!has(key) || needs.includes(key) || may.includes(key)) continue;
      issues.push({ code: "custom", message: `is not for a ${value.kind} receiver`, input: value, path: [key] });
    }
    const mistake = value.kind === "snmp" ? snmpMistake(value) : null;
    if (mistake !== null) issues.push({ code: "custom", message: mistake[1], input: value, path: [mistake[0]] });
  });
export type ReceiverEntry = z.infer<typeof ReceiverEntry>;

export const Receivers = z.array(ReceiverEntry).check(({ value, issues }) => {
  for (const [index, { name }] of value.entries()) {
    if (value.findIndex((other) => other.name === name) === index) continue;
    issues.push({ code: "custom", message: `another receiver is named ${name}`, input: name, path: [index, "name"] });
  }
});

const ReceiverView = z
  .object({
    name: z.string(),
    kind: z.string(),
    queued: Count,
    sent: Count,
    dropped: Count.meta({ description: "Events that found no room in its queue, or that it refused" }),
    failures: Count,
    failing: z.string().nullable().meta({ description: "Why the last attempt failed; null when it succeeded" }),
  })
  .meta({ id: "ReceiverView" });

/** GET /v1/receivers. */
export const ReceiverList = z.object({ receivers: z.array(ReceiverView) }).meta({ id: "ReceiverList" });

/** POST /v1/receivers/test. */
export const ReceiverTest = z
  .strictObject({ receiver: z.string().optional().meta({ description: "All when left out" }) })
  .meta({ id: "ReceiverTest" });

export const ReceiverTests = z
  .object({ results: z.array(z.object({ receiver: z.string(), kind: z.string(), failed: z.string().nullable() })) })
  .meta({ id: "ReceiverTests" });
