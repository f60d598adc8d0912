// What the version before this one has written is read by this one: keys of the configuration with a note that names the new one,
// kinds of messages in the state file.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { checkConfiguration, loadConfiguration, mistakeText } from "../../../host/control/settings/configuration.ts";
import { STATE_FILE } from "../../../host/control/state/state-file.ts";
import { State } from "../../../host/control/state/state.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const FORMER = `emulated = true
shaky.enabled = false
ring = { look_us = 7 }
[timeouts]
ghost_reset_ms = 1234
[[units]]
identity = "naa.6001405a1b2c3d4e5f60718293a4b500"
[[units]]
identity = "naa.6001405a1b2c3d4e5f60718293a4b501"
timeouts.ghost_reset_ms = 99
`;

test("former keys mean what they are called now; a note of each names the line, the key and the new name", (t) => {
  const checked = checkConfiguration(FORMER, "f.toml");
  if (!checked.ok) return t.fail(checked.mistakes.map(mistakeText).join("\n"));
  const { marginal, ring, timeouts, units } = checked.configuration;
  t.false(marginal.enabled);
  t.is(ring.poll_us, 7);
  t.is(timeouts.orphan_reset_ms, 1234);
  t.is(units[0]?.timeouts, undefined);
  t.is(units[1]?.timeouts?.orphan_reset_ms, 99);
  t.deepEqual(checked.notes.map(mistakeText), [
    "f.toml:2: shaky: is called marginal now; the next version knows shaky no more",
    "f.toml:5: timeouts.ghost_reset_ms: is called orphan_reset_ms now; the next version knows ghost_reset_ms no more",
    "f.toml:10: units[1].timeouts.ghost_reset_ms: is called orphan_reset_ms now; the next version knows ghost_reset_ms no more",
    "f.toml:3: ring.look_us: is called poll_us now; the next version knows look_us no more",
  ]);
});

test("a mistake in what a former key says is found in its line", (t) => {
  const checked = checkConfiguration("\n[shaky]\ncount = 17\ncolour = 1", "f.toml");
  t.false(checked.ok);
  if (checked.ok) return;
  t.deepEqual(checked.mistakes.map(mistakeText).slice(0, 2), [
    "f.toml:3: marginal.count: must be 16 or less",
    "f.toml:4: marginal.colour: unknown key; known here: enabled, count, window_s, clean_s",
  ]);
});

test("a key under both names is a mistake: nobody can say which holds", (t) => {
  const checked = checkConfiguration("[ring]\npoll_us = 1\nlook_us = 2", "f.toml");
  t.false(checked.ok);
  if (checked.ok) return;
  t.deepEqual(checked.mistakes.map(mistakeText), [
    "f.toml:3: ring.look_us: is called poll_us now, which stands here as well; leave out look_us",
  ]);
});

test("nothing is said of a file that has the names of today, nor of one that is no table where a former key stood", (t) => {
  const fine = checkConfiguration("[marginal]\ncount = 3", "f.toml");
  t.true(fine.ok && fine.notes.length === 0);
  for (const text of ["shaky = 1", "timeouts = 1\nring = []\nunits = [1]", "[ring]\nlook_us = 'a'"]) {
    t.false(checkConfiguration(text, "f.toml").ok, text);
  }
});

test("a daemon that reads a file with former keys again says so, and has what they say in force", async (t) => {
  const daemon = await TestDaemon.start(t, "[array]\nunits = 1\n");
  TestDaemon.configure(daemon.folder, "[shaky]\ncount = 5\n[array]\nunits = 1\n");
  await daemon.change(t, "POST", "/v1/config/reload");
  t.is(daemon.daemon.effective.configuration.marginal.count, 5);
  t.regex(daemon.problems.join("\n"), /:6: shaky: is called marginal now/);
});

test("a file is loaded with the notes of what it says", (t) => {
  const file = join(mkdtempSync(join(tmpdir(), "pm-former-")), "pathmanager.toml");
  writeFileSync(file, FORMER);
  t.is(loadConfiguration(file, true).notes.length, 4);
});

test("messages that the version before has written are shown under their names of today", (t) => {
  const where = mkdtempSync(join(tmpdir(), "pm-former-"));
  new State(where, 100).close();
  const database = new DatabaseSync(join(where, STATE_FILE));
  const kinds = ["ghost-settled", "shaky-out", "shaky-back", "nothing-chosen", "path-doubtful"];
  for (const kind of kinds) {
    database
      .prepare("INSERT INTO events (time_ms, kind, unit, path, detail) VALUES (1, ?, 1, '4:0:0:1', '{}')")
      .run(kind);
  }
  database.close();
  const state = new State(where, 100);
  t.deepEqual(
    state.events(0, 100).map(({ kind }) => kind),
    ["orphan-settled", "marginal-out", "marginal-back", "empty-filter", "path-unverified"],
  );
  state.close();
});
