// multipath.conf: every file is converted or every mistake is told with its place; what comes out is a configuration.

import { importText, tomlText } from "../../../host/cli/multipath/import.ts";
import { checkConfiguration, mistakeText } from "../../../host/control/settings/configuration.ts";
import { check, type Target } from "../target.ts";

function run(input: Uint8Array): void {
  const text = Buffer.from(input).toString();
  const lines = text.split("\n").length;
  const converted = importText(text);
  for (const { line, column } of converted.errors) {
    check(line >= 1 && line <= lines && column >= 1, () => `an error at ${line}:${column} of ${lines} lines`);
  }
  for (const note of [...converted.taken, ...converted.ignored]) {
    check(note.line >= 1 && note.line <= lines && note.text.length > 0, () => `a note at line ${note.line}`);
  }
  if (converted.errors.length > 0) return;
  const toml = tomlText(converted, "multipath.conf");
  const checked = checkConfiguration(toml, "made.toml");
  check(
    checked.ok,
    () => `what was made is refused: ${checked.ok ? "" : checked.mistakes.map(mistakeText).join("; ")}\n${toml}`,
  );
}

const EXAMPLE = `defaults {
  path_selector "service-time 0"
  no_path_retry 5
  find_multipaths yes
  dev_loss_tmo infinity
}
blacklist {
  devnode "^(ram|loop)[0-9]*"
  wwid 3600140500000000000000000000000a1
  device { vendor "ATA" product ".*" }
}
blacklist_exceptions { wwid "3600.*" }
devices { device { vendor "NEC" product "DISK ARRAY" no_path_retry queue } }
multipaths { multipath { wwid 3600140512345678900000000000000b2 alias data } }
`;

export const target: Target = {
  run,
  bytesMax: 2048,
  words: [
    "{",
    "}",
    "\n",
    '"',
    "!",
    "device {",
    "multipath {",
    "protocol",
    "property",
    "polling_interval",
    "fast_io_fail_tmo",
  ],
  seeds: [
    Buffer.from(EXAMPLE),
    Buffer.from("# nothing\n"),
    Buffer.from("defaults {\n verbosity 2\n}\noverrides {\n no_path_retry fail\n}\n"),
  ],
};
