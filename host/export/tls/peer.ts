// The identity of a TLS peer, as far as the handshake has proven it.

import type { X509Certificate } from "node:crypto";

export type TlsPeer =
  | { readonly kind: "psk"; readonly identity: string }
  | {
      readonly kind: "certificate";
      /** Distinguished name as in RFC 4514: `CN=client1,O=Example`. */
      readonly subject: string;
      /** Subject alternative names: `DNS:client1.example.com`, `IP Address:192.0.2.7`, `URI:spiffe://...`. */
      readonly names: readonly string[];
    };

/** One alternative name. Node quotes names that could be mistaken for several; such a name matches no rule here. */
const ALTERNATIVE_NAME = /([A-Za-z][A-Za-z ]*:(?:"(?:[^"\\]|\\.)*"|[^",]*))(?:, |$)/y;

/** The names in Node's text; none at all when it cannot be parsed to its end. */
export function alternativeNames(text: string | undefined): string[] {
  const names: string[] = [];
  const pattern = new RegExp(ALTERNATIVE_NAME);
  for (let at = 0; at < (text?.length ?? 0); at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const name = pattern.exec(text ?? "")?.[1];
    if (name === undefined) return [];
    if (!name.includes('"')) names.push(name);
  }
  return names;
}

/** Node writes one part per line, the most general first, and escapes as RFC 4514 does; that RFC starts with the last. */
export function distinguishedName(lines: string): string {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .toReversed()
    .join(",");
}

export function peerOfCertificate(certificate: X509Certificate): TlsPeer {
  const { subject, subjectAltName } = certificate;
  return { kind: "certificate", subject: distinguishedName(subject), names: alternativeNames(subjectAltName) };
}

/** For the log. */
export function peerText(peer: TlsPeer): string {
  return peer.kind === "psk" ? `PSK identity ${peer.identity}` : `certificate ${peer.subject}`;
}
