// Runs the console blocks of the operator's guide, in order, on the emulated array as it is without a configuration.

import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";

import test from "ava";

import { until } from "../../until.ts";
import { RealDaemon } from "./daemon.ts";

interface Step {
  readonly command: string;
  /** What it prints; null where the guide does not show it. */
  readonly shown: string | null;
}

/** The commands of every console block: lines that begin with `$ `, what follows is what they print. */
function stepsOf(text: string): Step[] {
  const blocks = [...text.matchAll(/^( *)```console\n(.*?)^ *```$/gms)];
  return blocks.flatMap(([, indent = "", body = ""]) => {
    const lines = body
      .split("\n")
      .slice(0, -1)
      .map((line) => line.slice(indent.length));
    const steps: { command: string; shown: string[] }[] = [];
    for (const line of lines) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), shown: [] });
      else steps.at(-1)?.shown.push(line);
    }
    return steps.map(({ command, shown }) => ({
      command,
      shown: shown.length === 0 ? null : shown.map((line) => `${line}\n`).join(""),
    }));
  });
}

test("every command of the guide does what the guide shows", async (t) => {
  t.timeout(300_000);
  const text = await readFile(new URL("../../../docs/operators-guide.md", import.meta.url), "utf8");
  const steps = stepsOf(text);
  t.true(steps.length > 25, String(steps.length));
  await using daemon = await RealDaemon.start();
  const env = { PATH: `${await daemon.programs()}:${process.env["PATH"]}`, PATHMANAGER_SOCKET: daemon.socket };
  for (const { command, shown } of steps) {
    const once = () => spawnSync("bash", ["-c", `exec 2>&1; ${command}`], { env, encoding: "utf8" });
    let result = once();
    // What is shown of a state comes about when patrol has looked; so a command that only looks is repeated.
    if (command.startsWith("spscmd -get") && shown !== null) {
      await until(`${command} shows\n${shown}`, () => {
        result = once();
        return result.stdout === shown;
      });
    }
    const refused = shown?.startsWith("spscmd: ") === true;
    t.is(result.status, refused ? 1 : 0, `${command}\n${result.stdout}`);
    if (shown !== null) t.is(result.stdout, shown, command);
  }
});
