// Runs build commands: their output is passed on as it comes. If one fails, the last line is a sentence that says why,
// as far as the output shows that. Runs on Node 20 or later.

import { spawn, spawnSync } from "node:child_process";

/** How much of the end of the output is kept for the explanation: errors come last. */
const KEPT_CHARACTERS = 256 * 1024;

const RUST = "install Rust 1.88 or later (https://rustup.rs)";

/** Known failures: what the output looks like, and the sentence for it. The first that matches is printed. */
const EXPLANATIONS = [
  {
    of: "npm",
    pattern:
      /npm (?:error|ERR!) code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT)\b/,
    say: ([, code]) =>
      `npm cannot reach its registry (${code}); connect this machine to the network, or name a registry that it reaches (npm config set registry URL)`,
  },
  {
    of: "npm",
    pattern: /npm (?:error|ERR!) code (ENOSPC|EROFS|EACCES|EPERM|EDQUOT)\b/,
    say: ([, code]) => `npm cannot write (${code}); make room on the disk, or its folders writable`,
  },
  {
    of: "npm",
    pattern: /are in sync\. Please update your lock file/,
    say: () => "package-lock.json does not fit package.json; run `npm install`, and commit both",
  },
  {
    of: "cargo",
    pattern: /linker `([^`]+)` not found/,
    say: ([, linker]) =>
      `the C compiler \`${linker}\`, which links, is not on PATH; install one (Debian: apt-get install gcc libc6-dev)`,
  },
  {
    of: "cargo",
    pattern: /cannot find -lc\b/,
    say: () => "there is no static C library; install one (Debian: apt-get install libc6-dev)",
  },
  {
    of: "cargo",
    pattern: /requires rustc (\d[\w.]*) or newer|rustc (\d[\w.-]*) is not supported by/,
    say: () => `this Rust is too old; ${RUST}`,
  },
  {
    of: "cargo",
    pattern: /^error(?:\[E\d+\])?: (?!could not compile)(.+)\n +--> (\S+)/m,
    say: ([, error, place]) => `the native addon does not compile: ${place}: ${error}`,
  },
  {
    of: "cargo",
    pattern:
      /Caused by:[^]*?(Could(?: not|n't) resolve host(?:name)?|Could(?: not|n't) connect to server|[Cc]onnection refused|Network is unreachable|Timeout was reached|[Oo]peration timed out)/,
    say: ([, problem]) =>
      `cargo cannot fetch the crates (${problem.toLowerCase()}); connect this machine to the network, or name a mirror in ~/.cargo/config.toml`,
  },
  {
    of: "asc",
    pattern: /\bERROR (?:[A-Z]{1,2}\d+): (.+)\n[\s\S]*?\bin ([^\s()]+\(\d+,\d+\))/,
    say: ([, error, place]) => `the core does not compile: ${place}: ${error}`,
  },
];

/** Colours of a terminal, which some print into a pipe as well. */
// oxlint-disable-next-line no-control-regex
const COLOURS = /\x1b\[[\d;]*m/g;

/** How to install a command that is not on PATH. */
const MISSING = {
  npm: "install npm, which comes with Node (https://nodejs.org/)",
  cargo: `${RUST}, or add ~/.cargo/bin to PATH`,
};

/** Why `tool` failed, judging by its output; null if there is no better explanation than the output itself. */
export function explain(tool, output) {
  const plain = output.replaceAll(COLOURS, "");
  for (const { of, pattern, say } of EXPLANATIONS) {
    const match = of === tool ? pattern.exec(plain) : null;
    if (match !== null) return say(match);
  }
  return null;
}

/** The sentence for a command that could not even be started. */
export function cannotRun(command, error) {
  if (error.code !== "ENOENT") return `cannot run ${command}: ${error.message}`;
  const name = command.slice(command.lastIndexOf("/") + 1);
  return command.includes("/") || MISSING[name] === undefined
    ? `cannot run ${command}: it is not there`
    : `${name} is not on PATH; ${MISSING[name]}`;
}

/** The error if a command cannot be started; null if it can. */
export const starts = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).error ?? null;

/** The command that is running; the process ends with the first that fails. */
const running = new Set();

/** Reports that `what` failed, and why, and exits. */
export function fail(what, why) {
  for (const child of running) child.kill();
  console.error(`pathmanager: ${what} failed: ${why}`);
  process.exit(1);
}

/**
 * Runs a command; when it fails, says why in one sentence and ends this process.
 * @param tool the tool whose output this is, for the explanation; null if the command itself reports in a sentence why it failed
 */
export async function run(command, args, { cwd, what, tool }) {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"], env: process.env });
  running.add(child);
  let output = "";
  const pass = (from, to) =>
    from.setEncoding("utf8").on("data", (text) => {
      to.write(text);
      output = (output + text).slice(-KEPT_CHARACTERS);
    });
  pass(child.stdout, process.stdout);
  pass(child.stderr, process.stderr);
  const end = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("close", (status, signal) => resolve({ status, signal }));
  });
  running.delete(child);
  if (end.error !== undefined) fail(what, cannotRun(command, end.error));
  if (end.status === 0) return;
  if (tool === null && end.status === 1) process.exit(1);
  const ended = end.signal === null ? `with status ${end.status}` : `by ${end.signal}`;
  fail(what, explain(tool, output) ?? `${command} ${args.join(" ")} ended ${ended}; what it says stands above`);
}
