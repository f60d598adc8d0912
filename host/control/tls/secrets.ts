// Files named in the configuration: certificates, and the secrets of the API over TCP.

import { closeSync, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { createSecureContext } from "node:tls";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";

type ApiTcp = NonNullable<Configuration["sockets"]["api_tcp"]>;

const TOKEN_BYTES_MIN = 16;
/** Write permission for the group, and any permission for others. */
const TOO_OPEN = 0o027;

/** A file named in the configuration; errors name its key. */
export function readNamed(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (thrown) {
    throw unreadable(key, file, thrown);
  }
}

function unreadable(key: string, file: string, thrown: unknown): ControlError {
  return new ControlError("CONFIGURATION", `${key}: cannot read ${file}: ${reasonOf(thrown)}`, {
    parameter: key,
    remedy: "name a file that the daemon can read",
    cause: thrown,
  });
}

/** A file that holds a secret: refused when others may read it, because then it is no secret. */
export function readSecret(key: string, file: string): Buffer {
  let descriptor: number | undefined;
  try {
    // One descriptor for both: what is checked is what is read, whatever happens to the name meanwhile.
    descriptor = openSync(file, "r");
    refuseShared(key, file, fstatSync(descriptor));
    return readFileSync(descriptor);
  } catch (thrown) {
    throw thrown instanceof ControlError ? thrown : unreadable(key, file, thrown);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function refuseShared(key: string, file: string, { mode, uid }: Stats): void {
  const rights = mode & 0o777;
  if (uid !== 0 && uid !== process.getuid?.()) {
    throw new ControlError("CONFIGURATION", `${key}: ${file} is another user's (${uid}), who can read and change it`, {
      parameter: key,
      remedy: `chown root ${file}, and replace what is in it`,
    });
  }
  if ((rights & TOO_OPEN) === 0) return;
  throw new ControlError(
    "CONFIGURATION",
    `${key}: others than its owner and group may use ${file} (mode ${rights.toString(8).padStart(4, "0")})`,
    { parameter: key, remedy: `chmod 0640 ${file}, and if it was open for long, replace what is in it` },
  );
}

/** The tokens of clients over TCP. */
export interface Tokens {
  readonly token: string;
  /** With which a client may read, and change nothing. */
  readonly readToken: string | null;
}

export function readTokens(tcp: Pick<ApiTcp, "token_file" | "read_token_file">): Tokens {
  const token = readToken("sockets.api_tcp.token_file", tcp.token_file);
  if (tcp.read_token_file === undefined) return { token, readToken: null };
  const key = "sockets.api_tcp.read_token_file";
  const forReaders = readToken(key, tcp.read_token_file);
  if (forReaders !== token) return { token, readToken: forReaders };
  throw new ControlError("CONFIGURATION", `${key}: ${tcp.read_token_file} holds the token of token_file`, {
    parameter: key,
    remedy: "put another one there: with this one readers could change everything",
  });
}

/** The token that a client over TCP has to present. */
export function readToken(key: string, file: string): string {
  const token = readSecret(key, file).toString("utf8").trim();
  if (Buffer.byteLength(token) >= TOKEN_BYTES_MIN) return token;
  throw new ControlError("CONFIGURATION", `${key}: the token in ${file} is shorter than ${TOKEN_BYTES_MIN} bytes`, {
    parameter: key,
    remedy: "put a long random one there, like `openssl rand -hex 32` makes",
  });
}

/** Certificate and key; whether they belong together is checked here, not found out by the first client. */
export function readTls(tcp: ApiTcp): { cert: Buffer; key: Buffer } {
  const tls = {
    cert: readNamed("sockets.api_tcp.certificate", tcp.certificate),
    key: readSecret("sockets.api_tcp.key", tcp.key),
  };
  try {
    createSecureContext(tls);
  } catch (thrown) {
    const what = `sockets.api_tcp: ${tcp.certificate} and ${tcp.key} are no certificate and its key: ${reasonOf(thrown)}`;
    throw new ControlError("CONFIGURATION", what, {
      parameter: "sockets.api_tcp",
      remedy: "both have to be in PEM, the key without a passphrase",
      cause: thrown,
    });
  }
  return tls;
}
