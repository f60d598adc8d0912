// Writes what is made from the catalogue of messages (host/liaison/catalogue), so that all of it says the same as the daemon:
// docs/messages.md, and the message catalogue of systemd's journal (journalctl -x).
//
//   node host/cli/packaging/messages-page.ts [--check]      --check: only compares; exit status 1 when they differ

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { MessageKind } from "../../liaison/catalogue/message-kind.ts";
import { messageId } from "../../liaison/message-id.ts";
import { kindOf, MESSAGES, receivers, type MessageName } from "../../liaison/messages.ts";

const HEAD = ["number", "text", "level", "system log", "ALIVE", "manager", "kind"];

const yesNo = (is: boolean): string => (is ? "yes" : "no");

/** Every kind by its number. */
const KINDS = (Object.keys(MESSAGES) as MessageName[]).toSorted((a, b) => kindOf(a).number - kindOf(b).number);

function rows(): string[][] {
  return KINDS.map((kind) => {
    const { number, text, level, system } = kindOf(kind);
    const { alive, manager } = receivers(kind);
    return [`[${number}](#${number})`, text, level, yesNo(system), yesNo(alive), yesNo(manager), `\`${kind}\``];
  });
}

/** A table in the layout of the repository's formatter. */
function table(lines: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...rest] = lines;
  return [row(head), row(widths.map((width) => "-".repeat(width))), ...rest.map(row)].join("\n");
}

function section(name: MessageName): string {
  const { number, text, level, means, causes = [], remedy } = kindOf(name);
  return [
    `### ${number}`,
    `**${text}** (${level})`,
    means,
    ...(causes.length === 0 ? [] : [`Likely causes: ${causes.join("; ")}.`]),
    `What to do: ${remedy}`,
  ].join("\n\n");
}

const page = (): string => `# Messages

<!-- Made by host/cli/packaging/messages-page.ts from host/liaison/catalogue; edit those. -->

For operators, and for programs that forward messages. All messages are in \`pathctl events\`, \`spsevent.log\` (\`pathctl logs\`) and the
API (\`/v1/events\`); those marked are also in the system log (source \`pathmanager\`). 257 to 278 are the original's, ours start at 600.
Each event in the API says by \`alive\` and \`manager\` whether to report it to remote maintenance (ALIVE) and to the operators' manager
(ESMPRO Manager), for a program that forwards them: \`pathctl events --follow --json\`. \`pathctl messages NUMBER\` explains a message,
and so does \`journalctl -x\`.

When one kind of message comes more than 100 times within 10 s, the further ones are counted and summed up in one message 689; what
operators do is always recorded in full.

${table([HEAD, ...rows()])}

## What they mean

${KINDS.map(section).join("\n\n")}
`;

const WIDTH = 76;

/** Text in lines of at most \`WIDTH\` characters. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

function entry({ number, text, means, causes = [], remedy }: MessageKind): string {
  const reasons =
    causes.length === 0 ? "" : `\n\nLikely causes:\n${causes.map((cause) => wrapped(`- ${cause}`)).join("\n")}`;
  return `-- ${messageId(number)}
Subject: ${text} (${number})
Defined-By: PathManager
Documentation: man:pathctl(8)

${wrapped(means)}${reasons}

${wrapped(`What to do: ${remedy}`)}
`;
}

/** See "Message Catalog" of systemd's developer documentation. */
const journalCatalogue = (): string => `# The message catalogue of PathManager for journalctl -x. Install it as
# /usr/lib/systemd/catalog/pathmanager.catalog and run journalctl --update-catalog.
# Made by host/cli/packaging/messages-page.ts from host/liaison/catalogue.

${KINDS.map((kind) => entry(kindOf(kind))).join("\n")}`;

const FILES: readonly (readonly [name: string, make: () => string])[] = [
  ["docs/messages.md", page],
  ["host/cli/packaging/pathmanager.catalog", journalCatalogue],
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, make] of FILES) {
    const file = new URL(`../../../${name}`, import.meta.url);
    if (!process.argv.includes("--check")) writeFileSync(file, make());
    else if (readFileSync(file, "utf8") !== make()) {
      console.error(`${name} is out of date; run: node host/cli/packaging/messages-page.ts`);
      process.exitCode = 1;
    }
  }
}
