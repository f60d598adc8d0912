// An outcome in words: SCSI status (SAM-5 5.3.1), host status (Linux SCSI midlayer), sense (SPC-4 4.5, annex D).

import { hexByte } from "../../discovery/bytes.ts";
import { senseWords } from "./sense-words.ts";
import type { Outcome } from "../../reactor/decode-records.ts";

const STATUS: Readonly<Record<number, string>> = {
  0x00: "GOOD",
  0x02: "CHECK CONDITION",
  0x08: "BUSY",
  0x18: "RESERVATION CONFLICT",
  0x28: "TASK SET FULL",
  0x30: "ACA ACTIVE",
  0x40: "TASK ABORTED",
};

const HOST_STATUS = [
  "ok",
  "no connection",
  "bus busy",
  "timed out",
  "bad target",
  "aborted",
  "parity error",
  "internal error",
  "reset",
  "bad interrupt",
  "passed through",
  "soft error",
  "retry",
  "requeue",
  "transport disrupted",
  "transport failed fast",
  "target failure",
  "nexus failure",
  "no space",
  "medium error",
  "marginal transport",
];

const SENSE_KEY = [
  "NO SENSE",
  "RECOVERED ERROR",
  "NOT READY",
  "MEDIUM ERROR",
  "HARDWARE ERROR",
  "ILLEGAL REQUEST",
  "UNIT ATTENTION",
  "DATA PROTECT",
  "BLANK CHECK",
  "VENDOR SPECIFIC",
  "COPY ABORTED",
  "ABORTED COMMAND",
  "reserved",
  "VOLUME OVERFLOW",
  "MISCOMPARE",
  "COMPLETED",
];

/** `transport disrupted (host status 0x0e)`, `NOT READY 04/02 (logical unit not ready, ...)`, `BUSY`; empty when there is no outcome. */
export function outcomeText({ status, senseKey, asc, ascq, hostStatus }: Outcome): string {
  if (hostStatus !== 0) return `${HOST_STATUS[hostStatus] ?? "host error"} (host status 0x${hexByte(hostStatus)})`;
  if (senseKey !== 0 || asc !== 0) {
    const words = senseWords(asc, ascq);
    const code = `${SENSE_KEY[senseKey] ?? "sense"} ${hexByte(asc)}/${hexByte(ascq)}`;
    return words === null ? code : `${code} (${words})`;
  }
  if (status === 0) return "";
  return STATUS[status] ?? `status 0x${hexByte(status)}`;
}
