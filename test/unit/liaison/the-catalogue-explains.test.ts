// Every message has its explanation, and what is made from the catalogue agrees with it. Text of others is harmless everywhere.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import test from "ava";
import fc from "fast-check";
import { clean } from "../../../host/liaison/clean.ts";
import { logLine } from "../../../host/liaison/event-log.ts";
import { messageId } from "../../../host/liaison/message-id.ts";
import { kindOf, MESSAGES, sentence, type MessageName } from "../../../host/liaison/messages.ts";
import { syslogDatagram } from "../../../host/liaison/system-log.ts";

const KINDS = Object.keys(MESSAGES) as MessageName[];
const WRITER = new URL("../../../host/cli/packaging/messages-page.ts", import.meta.url).pathname;
const CATALOGUE = new URL("../../../host/cli/packaging/pathmanager.catalog", import.meta.url);

test("each message says what it means and what to do, in sentences; errors and warnings also why", (t) => {
  for (const kind of KINDS) {
    const { means, remedy, causes, level } = kindOf(kind);
    for (const text of [means, remedy]) t.regex(text, /^[A-Z`].*\.$/, kind);
    for (const cause of causes ?? []) t.notRegex(cause, /\.$/, kind);
    const isAct = kindOf(kind).each === true || /expir|written again|released/.test(kindOf(kind).text);
    if (level !== "info" && !isAct) t.true((causes ?? []).length > 0, kind);
  }
});

test("pages and the journal's catalogue are those of the catalogue", async (t) => {
  await t.notThrowsAsync(promisify(execFile)(process.execPath, [WRITER, "--check"]));
});

test("the MIB is that of the catalogue", async (t) => {
  const writer = new URL("../../../host/cli/packaging/mib-page.ts", import.meta.url).pathname;
  await t.notThrowsAsync(promisify(execFile)(process.execPath, [writer, "--check"]));
});

test("the journal's catalogue has an entry for each message, with an id of its own", (t) => {
  const ids = [...readFileSync(CATALOGUE, "utf8").matchAll(/^-- ([0-9a-f]{32})$/gm)].map(([, id]) => id);
  t.deepEqual(ids.toSorted(), KINDS.map((kind) => messageId(kindOf(kind).number)).toSorted());
});

/** What acts on a terminal, ends a line, or turns the order of reading. */
const HARMFUL = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

test("no text of others acts on a terminal or ends a line", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const message = {
        kind: "path-error-io",
        timeMs: 0,
        unit: 0,
        path: "4:0:0:0",
        detail: { outcome: text },
      } as const;
      t.notRegex(sentence(message), HARMFUL);
      t.notRegex(logLine(message).slice(0, -1), HARMFUL);
      t.notRegex(Buffer.from(syslogDatagram(message, 1)).toString(), HARMFUL);
      t.is(clean(clean(text)), clean(text));
    }),
  );
});

test("an escape is what it was, in digits", (t) => {
  t.is(clean('a\u001b[31m"b"\n\u202e\ud800ä €'), 'a\\x1b[31m"b"\\x0a\\u{202e}\\u{d800}ä €');
});
