// Who may connect to sockets.nbd_tcp: the configuration's files and rules, in the form the export needs.

import { createSecureContext } from "node:tls";
import type { Rule, RuleSubject } from "../../export/permission.ts";
import type { TcpAccess } from "../../export/address.ts";
import type { TlsSettings } from "../../export/tls/tls-messages.ts";
import { TLS_SERVER } from "../../export/tls/suites.ts";
import { TlsTerminator } from "../../export/tls/terminator.ts";
import { readNamed, readSecret } from "./secrets.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { AllowRule, Configuration, NbdTcp } from "../schemas/configuration-schema.ts";
import { parsePskFile } from "./psk-file.ts";
import type { NamedCertificates, TlsSource } from "./sources.ts";

const AT = "sockets.nbd_tcp";

function subjectOf({ psk, subject, san }: AllowRule): RuleSubject {
  if (psk !== undefined) return { kind: "psk", identity: psk };
  if (subject !== undefined) return { kind: "subject", subject };
  return san === undefined ? { kind: "anyone" } : { kind: "name", name: san };
}

function rulesOf(allow: readonly AllowRule[]): Rule[] {
  return allow.map((rule) => ({
    who: subjectOf(rule),
    exports: rule.exports,
    isReadOnly: rule.access === "read-only",
  }));
}

/** The content of the files; null without TLS. Throws ControlError. */
function readSettings(tcp: NbdTcp): TlsSettings | null {
  const { certificate, key, authorities, psk_file: pskFile } = tcp;
  const psk =
    pskFile === undefined
      ? new Map<string, Uint8Array>()
      : parsePskFile(readSecret(`${AT}.psk_file`, pskFile).toString("utf8"), `${AT}.psk_file`, pskFile);
  if (certificate === undefined || key === undefined || authorities === undefined) {
    return pskFile === undefined ? null : { psk };
  }
  const x509 = {
    certificate: readNamed(`${AT}.certificate`, certificate),
    key: readSecret(`${AT}.key`, key),
    authorities: readNamed(`${AT}.authorities`, authorities),
  };
  try {
    createSecureContext({ ...TLS_SERVER, cert: x509.certificate, key: x509.key, ca: x509.authorities });
  } catch (thrown) {
    const what = `${AT}: ${certificate} and ${key} are no certificate and its key, or ${authorities} holds no certificate: ${reasonOf(thrown)}`;
    throw new ControlError("CONFIGURATION", what, {
      parameter: AT,
      remedy: "all of them have to be in PEM, the key without a passphrase",
      cause: thrown,
    });
  }
  if (!x509.authorities.includes("-----BEGIN ")) {
    throw new ControlError("CONFIGURATION", `${AT}.authorities: ${authorities} holds no certificate`, {
      parameter: `${AT}.authorities`,
      remedy: "put the certificate there, in PEM, that has signed those of the clients",
    });
  }
  return { x509, psk };
}

/** The port for NBD over TCP. */
export class NbdAccess implements TlsSource {
  readonly listen: string;
  readonly #terminator: TlsTerminator | null;
  #rules: readonly Rule[];
  #tcp: NbdTcp;
  #settings: TlsSettings | null;

  /**
   * @param onFailure called when a TLS thread has crashed
   * @throws ControlError
   */
  constructor(tcp: NbdTcp, onFailure: (error: Error) => void) {
    this.listen = tcp.listen;
    this.#tcp = tcp;
    this.#rules = rulesOf(tcp.allow);
    this.#settings = readSettings(tcp);
    this.#terminator = this.#settings === null ? null : new TlsTerminator(this.#settings, onFailure);
  }

  get access(): TcpAccess {
    const terminator = this.#terminator;
    return {
      tls: terminator === null ? null : { terminator, isRequired: !this.#tcp.insecure },
      rules: () => this.#rules,
    };
  }

  get certificates(): readonly NamedCertificates[] {
    const { certificate, authorities } = this.#tcp;
    const x509 = this.#settings?.x509;
    if (x509 === undefined || certificate === undefined || authorities === undefined) return [];
    return [
      { parameter: `${AT}.certificate`, file: certificate, pem: x509.certificate },
      { parameter: `${AT}.authorities`, file: authorities, pem: x509.authorities },
    ];
  }

  /** Rules come from the new configuration; everything else from the files in use. */
  read(configuration: Configuration): () => void {
    const settings = readSettings(this.#tcp);
    const rules = rulesOf(configuration.sockets.nbd_tcp?.allow ?? this.#tcp.allow);
    return () => {
      this.#rules = rules;
      this.#settings = settings;
      if (settings !== null) this.#terminator?.replace(settings);
    };
  }

  /** Closes every connection over TLS. */
  async close(): Promise<void> {
    await this.#terminator?.close();
  }
}
