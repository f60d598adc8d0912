// `pathpersist`: persistent reservations of units with the command line, the output and the exit statuses of mpathpersist(8), so that
// fence agents and resource agents made for that can be pointed at it.

import { readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";

import type { Output } from "../../control/schemas/routes.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { Client, CommandError, socketPaths } from "../api-client.ts";
import type { Io } from "../io.ts";
import { EXIT_SYNTAX, parsePersist, persistUsage, type Request } from "./persist-command.ts";
import { answerText, dump } from "./persist-output.ts";

/** Exit statuses of mpathpersist; what is not listed is "another error". */
const EXIT_OF: ReadonlyMap<string, number> = new Map([
  ["INVALID_REQUEST", 5],
  ["RESERVATION_REFUSED", 5],
  ["RESERVATION_UNSUPPORTED", 7],
  ["RESERVATION_CONFLICT", 11],
  ["UNKNOWN_UNIT", 12],
]);
const EXIT_MALFORMED = 10;
const EXIT_FILE = 12;
const EXIT_OTHER = 15;

const real = (name: string): string => {
  try {
    return realpathSync(name);
  } catch {
    return name;
  }
};

/** Whether the unit is meant by a device, a name, a number or a path. */
function isMeant(unit: UnitView, name: string): boolean {
  const device = name.startsWith("/") ? real(name) : name;
  if (unit.attachments.some((attachment) => attachment.device === device)) return true;
  if (name.startsWith("/dev/pathmanager/") && basename(name) === unit.name) return true;
  const isPath = unit.paths.some(
    (path) =>
      path.number === name ||
      path.device === device ||
      (path.blockDevice !== null && `/dev/${path.blockDevice}` === device),
  );
  return isPath || unit.name === name || unit.identity.text === name || name.replace(/^#/, "") === String(unit.number);
}

async function unitFor(client: Client, name: string): Promise<UnitView> {
  const { units } = await client.call<Output<"units">>("GET", "/v1/units");
  const unit = units.find((candidate) => isMeant(candidate, name));
  if (unit !== undefined) return unit;
  throw new CommandError("UNKNOWN_UNIT", `${name}: it is no unit, and no path of one; pathctl show lists them`);
}

async function ask(client: Client, io: Io, unit: number, request: Extract<Request, { kind: "in" }>): Promise<number> {
  const bytes = request.bytes === null ? "" : `&bytes=${request.bytes}`;
  const route = `/v1/units/${unit}/reservation/in?action=${request.action}${bytes}`;
  const { data } = await client.call<Output<"askReservation">>("GET", route);
  const answer = Buffer.from(data, "hex");
  if (request.hex) io.err(dump(answer));
  const text = answerText(request.action, answer);
  if (text.ok) io.out(text.value);
  else io.err(`pathpersist: ${text.reason}\n`);
  return text.ok ? 0 : EXIT_MALFORMED;
}

async function order(
  client: Client,
  io: Io,
  unit: number,
  request: Extract<Request, { kind: "out" }>,
): Promise<number> {
  const { action, key, serviceActionKey, type, aptpl, allTargetPorts } = request;
  if (type === 0 && ["reserve", "release", "preempt", "preempt-abort"].includes(action)) {
    io.err("Warning: --prout-type probably needs to be given\n");
  }
  await client.call("POST", `/v1/units/${unit}/reservation`, {
    action,
    key,
    serviceActionKey,
    type,
    ...(aptpl ? { aptpl } : {}),
    ...(allTargetPorts ? { allTargetPorts } : {}),
  });
  return 0;
}

async function carryOut(client: Client, io: Io, request: Request): Promise<number> {
  try {
    const { number } = await unitFor(client, request.device);
    return await (request.kind === "in" ? ask(client, io, number, request) : order(client, io, number, request));
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    io.err(`pathpersist: ${thrown.message}\n`);
    if (request.kind === "in") io.err("Persistent Reserve IN command failed\n");
    if (thrown.code === "RESERVATION_CONFLICT") io.out("persistent reserve out: scsi status: Reservation Conflict\n");
    if (request.kind === "out") io.out("PR out: command failed\n");
    return EXIT_OF.get(thrown.code) ?? EXIT_OTHER;
  }
}

/** The status of the first command that failed, or 0. The others are carried out all the same. */
async function batch(client: Client, io: Io, file: string): Promise<number> {
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch (thrown) {
    io.err(`unable to open ${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return EXIT_FILE;
  }
  let first = 0;
  for (const [index, line] of lines.entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, "")
      .split(/\s+/)
      .filter((word) => word !== "");
    if (words[0] === "mpathpersist" || words[0] === "pathpersist") words.shift();
    if (words.length === 0) continue;
    const parsed = parsePersist(words, true);
    const request = parsed.ok ? parsed.call.request : null;
    if (request === null) io.err(`syntax error on line ${index + 1} in batch file\n`);
    const status = request === null ? EXIT_SYNTAX : await carryOut(client, io, request);
    first ||= status;
  }
  return first;
}

/** Runs one call of `pathpersist`; returns its exit status. */
export async function pathpersist(args: readonly string[], io: Io): Promise<number> {
  const parsed = parsePersist(args);
  if (!parsed.ok) {
    if (parsed.message !== null) io.err(`pathpersist: ${parsed.message}\n`);
    io.err(persistUsage());
    return parsed.message === null ? 0 : EXIT_SYNTAX;
  }
  const client = new Client(...socketPaths(io.env));
  const { request, batchFile } = parsed.call;
  const status = request === null ? 0 : await carryOut(client, io, request);
  if (batchFile === null) return status;
  const inFile = await batch(client, io, batchFile);
  return status === 0 ? inFile : status;
}
