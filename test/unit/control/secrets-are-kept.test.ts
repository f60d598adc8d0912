// Files that decide who may do what are refused when others may read, change or own them.

import { chmodSync, chownSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readToken } from "../../../host/control/tls/secrets.ts";
import { loadConfiguration } from "../../../host/control/settings/configuration.ts";
import { ControlError } from "../../../host/control/ground/control-errors.ts";

function fileOf(text: string, mode: number): string {
  const file = join(mkdtempSync(join(tmpdir(), "pm-secret-")), "file");
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

const KEY = "sockets.api_tcp.token_file";
const SECRET = "0123456789abcdef0123456789abcdef\n";

test("a token that others may use is refused, one of its owner and group is taken", (t) => {
  for (const mode of [0o600, 0o640, 0o400]) t.is(readToken(KEY, fileOf(SECRET, mode)), SECRET.trim());
  for (const mode of [0o644, 0o604, 0o602, 0o660, 0o666]) {
    const error = t.throws(() => readToken(KEY, fileOf(SECRET, mode)), { instanceOf: ControlError });
    t.is(error?.code, "CONFIGURATION");
    t.regex(error?.remedy ?? "", /^chmod 0640/);
  }
  const missing = t.throws(() => readToken(KEY, "/nowhere/token"), { instanceOf: ControlError });
  t.regex(missing?.message ?? "", /^sockets\.api_tcp\.token_file: cannot read \/nowhere\/token/);
});

test("a secret in another user's file is none", (t) => {
  const file = fileOf(SECRET, 0o600);
  try {
    chownSync(file, 12_345, -1);
  } catch (thrown) {
    // Who is not root cannot give a file away; then nobody else's file can be made here.
    t.regex(String(thrown), /EPERM/);
    return;
  }
  const error = t.throws(() => readToken(KEY, file), { instanceOf: ControlError });
  t.regex(error?.message ?? "", /is another user's \(12345\)/);
});

test("a configuration that everybody may write is refused", (t) => {
  t.true(loadConfiguration(fileOf("emulated = true\n", 0o644), true).configuration.emulated);
  const error = t.throws(() => loadConfiguration(fileOf("emulated = true\n", 0o646), true), {
    instanceOf: ControlError,
  });
  t.is(error?.code, "CONFIGURATION");
  t.regex(error?.message ?? "", /everybody may write the configuration file/);
});
