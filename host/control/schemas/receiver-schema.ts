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
  journald: { needs: [], may: [] },
  mail: { needs: ["to"], may: ["program"] },
};
const OF_KINDS = Object.values(KEYS).flatMap(({ needs, may }) => needs.concat(may));

export const ReceiverEntry = z
  .strictObject({
    ...shape,
    name: z.string().regex(/^[\w.-]{1,32}$/, { error: "must be 1 to 32 letters, digits or . - _" }),
    kind: shape.kind.unwrap(),
    shape: shape.shape.unwrap().optional(),
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
    for (const key of OF_KINDS.filter((other) => has(other) && !needs.includes(other) && !may.includes(other))) {
      issues.push({ code: "custom", message: `is not for a ${value.kind} receiver`, input: value, path: [key] });
    }
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
