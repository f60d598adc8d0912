// Daemons of other hosts, over TLS with their token: `pathctl --host NAME`. A file says where they are, so that no token stands on a
// command line or in an environment.

import { readFileSync, statSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { join } from "node:path";
import { Client, CommandError, type Ask } from "./api-client.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** For all users of this machine. */
const HOSTS_DEFAULT = "/etc/pathmanager/hosts.toml";
/** Others may not read a token. */
const OTHERS = 0o007;

export interface RemoteHost {
  readonly name: string;
  readonly address: string;
  readonly tokenFile: string;
  /** Null: the authorities that Node trusts. */
  readonly caFile: string | null;
}

/** Where the hosts are listed: the named file, else the user's own, else that for all. */
function hostsFiles(env: Environment): string[] {
  const named = env["PATHMANAGER_HOSTS"];
  if (named !== undefined && named !== "") return [named];
  const home = env["XDG_CONFIG_HOME"] ?? (env["HOME"] === undefined ? undefined : join(env["HOME"], ".config"));
  return [...(home === undefined ? [] : [join(home, "pathmanager/hosts.toml")]), HOSTS_DEFAULT];
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function wrong(file: string, what: string): CommandError {
  return new CommandError("INVALID_ARGUMENT", `${file}: ${what}`, {
    parameter: file,
    remedy: 'a host is [hosts.NAME] with address = "HOST:PORT", token_file and, for an authority of your own, ca_file',
  });
}

const KEYS = ["address", "token_file", "ca_file"];

function hostOf(file: string, name: string, entry: unknown, defaults: Readonly<Record<string, unknown>>): RemoteHost {
  if (!isTable(entry)) throw wrong(file, `hosts.${name} is no table`);
  const strange = Object.keys(entry).find((key) => !KEYS.includes(key));
  if (strange !== undefined) throw wrong(file, `hosts.${name}.${strange}: unknown key; known here: ${KEYS.join(", ")}`);
  const text = (key: string): string | null => {
    const value = entry[key] ?? defaults[key];
    if (value === undefined) return null;
    if (typeof value !== "string" || value === "") throw wrong(file, `hosts.${name}.${key}: is no text`);
    return value;
  };
  const [address, tokenFile] = [text("address"), text("token_file")];
  if (address === null || !/^.+:\d{1,5}$/.test(address)) throw wrong(file, `hosts.${name}.address: is not HOST:PORT`);
  if (tokenFile === null) throw wrong(file, `hosts.${name}.token_file: is missing`);
  return { name, address, tokenFile, caFile: text("ca_file") };
}

/** Every host that is listed, in the order of the file. */
export async function remoteHosts(env: Environment): Promise<RemoteHost[]> {
  const { parse } = await import("smol-toml");
  for (const file of hostsFiles(env)) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw new CommandError("INVALID_ARGUMENT", `cannot read ${file}: ${(error as Error).message}`, {
        parameter: file,
      });
    }
    let content: Readonly<Record<string, unknown>>;
    try {
      content = parse(text);
    } catch (error) {
      throw wrong(file, String((error as Error).message).split("\n")[0] ?? "is no TOML");
    }
    const { hosts = {}, defaults = {} } = content;
    if (!isTable(hosts) || !isTable(defaults)) throw wrong(file, "hosts and defaults are tables");
    return Object.entries(hosts).map(([name, entry]) => hostOf(file, name, entry, defaults));
  }
  throw new CommandError(
    "INVALID_ARGUMENT",
    `no other hosts are known: there is no ${hostsFiles(env).join(" and no ")}`,
    {
      parameter: "host",
      remedy: "write one; docs/fleet.md has an example",
    },
  );
}

function tokenOf({ name, tokenFile }: RemoteHost): string {
  try {
    if ((statSync(tokenFile).mode & OTHERS) !== 0) {
      throw new CommandError("INVALID_ARGUMENT", `hosts.${name}.token_file: others may use ${tokenFile}`, {
        parameter: tokenFile,
        remedy: `chmod 0640 ${tokenFile}`,
      });
    }
    return readFileSync(tokenFile, "utf8").trim();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError("INVALID_ARGUMENT", `hosts.${name}.token_file: ${(error as Error).message}`, {
      parameter: tokenFile,
    });
  }
}

function authorityOf({ name, caFile }: RemoteHost): { readonly ca?: Buffer } {
  try {
    return caFile === null ? {} : { ca: readFileSync(caFile) };
  } catch (error) {
    throw new CommandError("INVALID_ARGUMENT", `hosts.${name}.ca_file: ${(error as Error).message}`, {
      parameter: `${caFile}`,
    });
  }
}

/** A client of one of these hosts. */
export function clientOf(remote: RemoteHost): Client {
  const https = process.getBuiltinModule("node:https");
  const colon = remote.address.lastIndexOf(":");
  const host = remote.address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(remote.address.slice(colon + 1));
  const authorization = `Bearer ${tokenOf(remote)}`;
  const authority = authorityOf(remote);
  const ask: Ask = ({ headers, ...request }, answered: (response: IncomingMessage) => void): ClientRequest =>
    https.request(
      { host, port, agent: false, ...authority, ...request, headers: { ...headers, authorization } },
      answered,
    );
  return Client.over(`${remote.name} (${remote.address})`, ask);
}

/** The client of the host with this name. */
export async function remoteClient(env: Environment, name: string): Promise<Client> {
  const hosts = await remoteHosts(env);
  const remote = hosts.find((host) => host.name === name);
  if (remote !== undefined) return clientOf(remote);
  throw new CommandError("INVALID_ARGUMENT", `there is no host ${name}`, {
    parameter: name,
    remedy: `known are ${hosts.map((host) => host.name).join(", ") || "none"}`,
  });
}
