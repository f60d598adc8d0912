// Text of others (vendor strings, names, answers of peers) with control characters, line ends, quotes and terminal escapes: wherever a
// message goes, it stays what it is. One place makes it harmless (clean.ts), and each form quotes it in its own way.

import test from "ava";
import fc from "fast-check";
import { clean, cleanJson } from "../../../host/liaison/clean.ts";
import { labels } from "../../../host/control/api/exposition.ts";
import { logLine } from "../../../host/liaison/event-log.ts";
import { receivers, sentence, type Message } from "../../../host/liaison/messages.ts";
import { mailText } from "../../../host/liaison/receivers/mail-receiver.ts";
import type { Notice } from "../../../host/liaison/receivers/notice.ts";
import { syslogMessage } from "../../../host/liaison/receivers/syslog-message.ts";
import { bodiesOf } from "../../../host/liaison/receivers/webhook-shapes.ts";
import { syslogDatagram } from "../../../host/liaison/system-log.ts";

/** Nothing that acts on a terminal, ends a line or turns the direction of reading. */
const HARMLESS = /^[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u;
const NASTY = ["\u001b[2J", "\r\n", "\n.\n", '"', "\\", "]", "\u0000", "\u009b31m", "\u202e", "\u2028", "ok"];

const nasty = fc.array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary" })), { maxLength: 8 });

const messageWith = (text: string): Message => ({
  kind: "failover-done",
  timeMs: Date.UTC(2026, 10, 22),
  unit: 0,
  path: "4:0:0:0",
  detail: { vendor: text, from: "5:0:0:0" },
});

const noticeOf = (message: Message): Notice => ({
  id: 1,
  time: message.timeMs,
  message: 258,
  kind: message.kind,
  level: "warning",
  ...receivers(message.kind),
  text: sentence(message),
  unit: message.unit,
  identity: null,
  array: clean(String(message.detail["vendor"])),
  path: message.path,
  detail: message.detail,
});

test("logs, labels, syslog, mail and webhooks hold any text", (t) => {
  fc.assert(
    fc.property(nasty, (parts) => {
      const text = parts.join("");
      const message = messageWith(text);
      const notice = noticeOf(message);
      t.regex(sentence(message), HARMLESS);
      t.regex(logLine(message).slice(0, -1), HARMLESS);
      t.regex(Buffer.from(syslogDatagram(message, 1)).toString(), HARMLESS);
      t.regex(syslogMessage(notice, "h", 1).toString(), HARMLESS);
      t.regex(labels({ vendor: text }), /^vendor="(?:[^"\\\n]|\\\\|\\")*"$/);
      for (const line of mailText([notice], { program: "", to: "a@b", host: "h" }).split("\n")) t.regex(line, HARMLESS);
      for (const shape of ["plain", "alertmanager", "cloudevents"] as const) {
        const body = bodiesOf(shape, "h")([notice]).text;
        t.regex(body, HARMLESS);
        t.notThrows(() => void JSON.parse(body));
      }
      for (const indent of [0, 2]) {
        const json = cleanJson({ [text]: [text] }, indent);
        for (const line of json.split("\n")) t.regex(line, HARMLESS);
        t.deepEqual(JSON.parse(json), { [text]: [text] }, "whoever parses it gets the value as it was");
      }
    }),
  );
});
