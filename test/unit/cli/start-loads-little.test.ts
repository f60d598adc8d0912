// What a command loads before it asks the daemon: that is what its start costs. How long it takes is measured by
// `npm run bench -- start`, because a test may not depend on how fast the machine is.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import test from "ava";

const binary = (name: string): string => new URL(`../../../host/cli/bin/${name}.js`, import.meta.url).pathname;

/** Lists every module that is loaded from a file, and whether Node's web client came along, on a line of its own. */
const WITNESS = `
import { registerHooks } from "node:module";
const files = [];
registerHooks({ load: (url, context, next) => (url.startsWith("file:") && files.push(url), next(url, context)) });
process.on("exit", () => {
  const undici = process.moduleLoadList.some((name) => name.includes("deps/undici"));
  process.stderr.write("\\nWITNESS " + JSON.stringify({ files, undici }));
});`;

async function loadedBy(
  name: string,
  ...args: string[]
): Promise<{ readonly files: string[]; readonly undici: boolean }> {
  const witness = `data:text/javascript,${encodeURIComponent(WITNESS)}`;
  const call = promisify(execFile)(process.execPath, ["--import", witness, binary(name), ...args], {
    env: { PATHMANAGER_SOCKET: "/nonexistent/api.sock" },
  });
  // Nobody listens there: the command gets as far as asking the daemon, and says so.
  const { stderr } = await call.catch((error: unknown) => error as { stderr: string });
  return JSON.parse(/\nWITNESS (.*)$/.exec(stderr)?.[1] ?? "null");
}

const packagelessName = (file: string): string => file.slice(file.lastIndexOf("/host/") + 1);

const packagesOf = (files: readonly string[]): Set<string | undefined> =>
  new Set(
    files.filter((file) => file.includes("/node_modules/")).map((file) => /node_modules\/([^/]+)/.exec(file)?.[1]),
  );

test("spscmd loads a dozen small files, no package, and nothing of Node's web client", async (t) => {
  const { files, undici } = await loadedBy("spscmd", "-getlun");
  t.true(files.some((file) => file.endsWith("/spscmd/main.ts")));
  t.deepEqual([...packagesOf(files)], []);
  t.true(files.length <= 12, files.join("\n"));
  t.false(undici);
});

test("pathctl show loads its parser of arguments, one group of commands, and of the daemon only the words they share", async (t) => {
  const { files, undici } = await loadedBy("pathctl", "show");
  t.true(files.some((file) => file.endsWith("/pathctl/commands-show.ts")));
  t.deepEqual([...packagesOf(files)], ["commander"]);
  t.deepEqual(
    files.filter((file) => file.includes("/host/control/") || file.includes("commands-unit")).map(packagelessName),
    ["host/control/schemas/constants.ts"],
  );
  t.true(files.length <= 24, files.join("\n"));
  t.false(undici);
});
