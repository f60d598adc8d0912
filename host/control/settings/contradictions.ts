// Mistakes in sockets.nbd_tcp that no single key shows.

import type { AllowRule, NbdTcp } from "../schemas/configuration-schema.ts";

export type Complain = (path: readonly PropertyKey[], problem: string) => void;

const AT = ["sockets", "nbd_tcp"] as const;
const X509_KEYS = ["certificate", "key", "authorities"] as const;

/** Rules that can never match a client. */
function ruleContradiction(rule: AllowRule, hasX509: boolean, hasPsk: boolean): [keyof AllowRule, string] | null {
  if (rule.psk !== undefined && !hasPsk) return ["psk", "nobody has a key as long as there is no psk_file"];
  const needs = "nobody has a certificate as long as there is no certificate, key and authorities";
  if (rule.subject !== undefined && !hasX509) return ["subject", needs];
  if (rule.san !== undefined && !hasX509) return ["san", needs];
  return null;
}

/**
 * A port without TLS must be requested explicitly, even on the loopback interface: every user of the machine may connect there.
 */
export function nbdTcpContradictions(tcp: NbdTcp | undefined, complain: Complain): void {
  if (tcp === undefined) return;
  const present = X509_KEYS.filter((key) => tcp[key] !== undefined);
  const missing = X509_KEYS.filter((key) => tcp[key] === undefined);
  if (present.length > 0 && missing.length > 0) {
    complain([...AT, present[0] ?? "certificate"], `needs ${missing.join(" and ")} beside it`);
    return;
  }
  const hasX509 = present.length > 0;
  const hasPsk = tcp.psk_file !== undefined;
  if (!hasX509 && !hasPsk && !tcp.insecure) {
    const problem =
      "without TLS everybody who reaches the port, on 127.0.0.1 every user of this machine, may read and change the data; " +
      "give certificate, key and authorities, or psk_file, or say insecure = true";
    complain([...AT], problem);
    return;
  }
  for (const [index, rule] of tcp.allow.entries()) {
    const found = ruleContradiction(rule, hasX509, hasPsk);
    if (found !== null) complain([...AT, "allow", index, found[0]], found[1]);
  }
}
