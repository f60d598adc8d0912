// pathmanager.toml: every text is a configuration, or its mistakes are told, each with a line; a configuration that is written
// down and read again is the same.

import { isDeepStrictEqual } from "node:util";
import { stringify } from "smol-toml";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import { check, type Target } from "../target.ts";

function run(input: Uint8Array): void {
  const text = Buffer.from(input).toString();
  const lines = text.split("\n").length;
  const checked = checkConfiguration(text, "FILE");
  if (!checked.ok) {
    check(checked.mistakes.length > 0, () => "refused without a mistake");
    for (const { line, problem } of checked.mistakes) {
      check(line >= 1 && line <= lines, () => `a mistake in line ${line} of ${lines}: ${problem}`);
      check(problem.length > 3 && !/undefined|\[object/.test(problem), () => `what is wrong is told as ${problem}`);
    }
    return;
  }
  const again = checkConfiguration(stringify(checked.configuration), "AGAIN");
  check(again.ok, () => `read again it is refused: ${JSON.stringify(again)}`);
  check(isDeepStrictEqual(again.configuration, checked.configuration), () => "read again it is another one");
}

const EXAMPLES = [
  'policy = "adaptive"\nemulated = true\n[timeouts]\nno_path_ms = 20000\n[array]\nunits = 2\npaths = 4\n',
  '[[units]]\nidentity = "naa.6001405a1b2c3d4e5f60718293a4b5c6"\nname = "data"\npolicy = { name = "round-robin", io_per_path = 3 }\n',
  'devices.include = [{ vendor = "NEC" }]\n[devices]\nexclude = [{ path = "5:::" }]\n',
  '[sockets]\ngroup = "disk"\nnbd_tcp = "127.0.0.1:10809"\n[limits]\nconnections = 64\n[patrol]\ninterval_s = 5\n',
];

export const target: Target = {
  run,
  bytesMax: 2048,
  words: [
    "[",
    "]",
    "[[",
    "]]",
    " = ",
    "\n",
    '"',
    "'''",
    "{",
    "}",
    "1979-05-27",
    "0x",
    "inf",
    "nan",
    "true",
    "-1",
    "1e400",
    "__proto__",
  ],
  seeds: EXAMPLES.map((text) => Buffer.from(text)),
};
