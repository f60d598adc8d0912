// Sources and documents say the field's words, not those that only we had for the same thing.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";

const root = join(import.meta.dirname, "..", "..", "..");

/** What was said, and what is said now. */
const FORMER: readonly (readonly [RegExp, string])[] = [
  [/(?<!n)ghost(?!_delay)/i, "orphan"],
  [/shaky/i, "marginal"],
  [/\bsiblings?|sibling[A-Z]|SIBLING/, "shared component"],
  [/\btwins?\b|Twin[A-Z]?/, "duplicate attempt"],
  [/spokesman/i, "reference path"],
  [/re-?issue/i, "speculative retry"],
  [/[lL]ook_?us\b/i, "busy polling (poll_us)"],
];

/** Lines that speak of others' words, or of what a predecessor has written. */
const OTHERS: Readonly<Record<string, RegExp>> = {
  "CHANGELOG.md": /\[shaky\]|ghost_reset_ms|look_us/,
  "docs/commands.md": /`ghost`/,
  "docs/configuration.md": /\[shaky\]/,
  "docs/field-cases.md": /`ghost`/,
  "docs/glossary.md": /ghost|`shaky`/,
  "docs/ublk.md": /REISSUE/,
  "host/cli/pathctl/multipath-view.ts": /"ghost"|"shaky"/,
  "host/control/settings/former-keys.ts": /shaky|ghost_reset_ms|look_us/,
  "host/control/state/event-rows.ts": /"ghost-settled"|"shaky-(out|back)"/,
  "host/control/state/state-layout.ts": /shaky/,
  "host/control/state/state.ts": /shaky/,
  "host/native/src/ublk/layout.rs": /RECOVERY_REISSUE/,
};

test("no former word is left in a source or a document, but where others' words are meant", (t) => {
  const files = globSync(["assembly/**/*.{ts,h}", "host/**/*.{ts,rs,mjs,js}", "docs/**/*.md", "*.md"], {
    cwd: root,
    exclude: ["host/native/target/**", "host/**/node_modules/**"],
  });
  t.true(files.length > 300);
  const found: string[] = [];
  const used = new Set<string>();
  for (const file of files.toSorted()) {
    for (const [index, line] of readFileSync(join(root, file), "utf8").split("\n").entries()) {
      for (const [former, now] of FORMER) {
        if (!former.test(line)) continue;
        if (OTHERS[file]?.test(line) === true) used.add(file);
        else found.push(`${file}:${index + 1}: ${former.source} is called ${now}`);
      }
    }
  }
  t.deepEqual(found, []);
  t.deepEqual([...used].toSorted(), Object.keys(OTHERS).toSorted(), "an exception that is not needed any more");
});
