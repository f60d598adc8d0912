// Completion in the real zsh and fish: what the key TAB makes of a line. (bash: test/unit/cli/completion.test.ts)

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Case, check, same } from "../case.ts";
import { run } from "../run.ts";

const PROGRAM = new URL("../../../host/cli/bin/pathctl.js", import.meta.url).pathname;

/** A folder with the commands, as an installation has them; no daemon runs. */
async function installed(folder: string, shell: "zsh" | "fish"): Promise<{ bin: string; script: string }> {
  const bin = join(folder, `bin-${shell}`);
  mkdirSync(bin);
  const start = `#!/bin/sh\nexec env PATHMANAGER_SOCKET=/nonexistent "${process.execPath}" "${PROGRAM}" "$@"\n`;
  writeFileSync(join(bin, "pathctl"), start, { mode: 0o755 });
  writeFileSync(join(bin, "spscmd"), "#!/bin/sh\n", { mode: 0o755 });
  const { stdout } = await run(join(bin, "pathctl"), ["completion", shell]);
  return { bin, script: stdout };
}

export const cases: readonly Case[] = [
  {
    name: "zsh: the first TAB completes, and each one after",
    run: async ({ folder }) => {
      const { bin, script } = await installed(folder, "zsh");
      // As the packages install it: a file of fpath, which the first TAB loads.
      writeFileSync(join(bin, "_pathctl"), script);
      const keys = [
        `bindkey -e; path=(${bin} $path); fpath=(${bin} $fpath); autoload -U compinit; compinit -u -D`,
        // Ctrl-A puts echo in front, so that the line prints what was completed.
        "pathctl path en\t\u0001echo A ",
        "pathctl mode --failback st\t\u0001echo B ",
        "spscmd -getfb\t\u0001echo C ",
        "spscmd -setfbmode A\t\u0001echo D ",
        // Each TAB offers the next of several.
        "setopt menu_complete",
        "spscmd -lbmode 4:0:0:0 \t\u0001echo E ",
        "spscmd -lbmode 4:0:0:0 \t\t\t\t\u0001echo F ",
        "exit",
      ];
      const input = keys.map((line) => `${line}\n`).join("");
      const { stdout } = await run("script", ["-qec", "env TERM=dumb zsh -f -i", "/dev/null"], { input });
      const lines = new Set(stdout.split(/[\r\n]+/).map((line) => line.trimEnd()));
      for (const line of [
        "A pathctl path enable",
        "B pathctl mode --failback standby",
        "C spscmd -getfbmode",
        "D spscmd -setfbmode Active",
        "E spscmd -lbmode 4:0:0:0 0",
        "F spscmd -lbmode 4:0:0:0 3",
      ]) {
        check(lines.has(line), `no line "${line}" in:\n${stdout}`);
      }
    },
  },
  {
    name: "fish: what TAB offers",
    run: async ({ folder }) => {
      const { bin, script } = await installed(folder, "fish");
      writeFileSync(join(bin, "pathctl.fish"), script);
      const offers = async (line: string): Promise<string[]> => {
        const ask = `set -x PATH ${bin} $PATH; source ${bin}/pathctl.fish; complete -C '${line}'`;
        const { stdout } = await run("fish", ["--no-config", "-c", ask]);
        return stdout.split("\n").filter((word) => word !== "");
      };
      same(await offers("pathctl path en"), ["enable"], "pathctl path en");
      same(await offers("pathctl mode --failback st"), ["standby"], "pathctl mode --failback st");
      same(await offers("spscmd -getfb"), ["-getfbmode"], "spscmd -getfb");
      same(await offers("spscmd -lbmode 4:0:0:0 "), ["0", "1", "2", "3"], "spscmd -lbmode 4:0:0:0");
    },
  },
];
