// Prints what devices answer to PERSISTENT RESERVE IN as mpathpersist does: fence agents read it.

import {
  parseCapabilities,
  parseFullStatus,
  parseKeys,
  parseReservation,
  RESERVATION_TYPES,
  type Capabilities,
  type InAction,
  type Keys,
  type Registrant,
} from "../../discovery/persistent-reservations.ts";
import type { Parsed } from "../../discovery/transport.ts";

const hex = (value: number): string => `0x${value.toString(16)}`;

const typeName = (type: number): string => RESERVATION_TYPES.get(type) ?? `obsolete [${type < 10 ? type : hex(type)}]`;

function keysText({ generation, keys }: Keys): string {
  const head = `  PR generation=${hex(generation)}, `;
  if (keys.length === 0) return `${head}\t0 registered reservation key.\n`;
  const count =
    keys.length === 1
      ? "\t1 registered reservation key follows:"
      : `\t${keys.length} registered reservation keys follow:`;
  return `${head}${count}\n${keys.map((key) => `    ${key}\n`).join("")}`;
}

const flag = (is: boolean): number => (is ? 1 : 0);

/** In mpathpersist's order. */
const MASKS = [7, 6, 5, 3, 1, 8] as const;

function capabilitiesText(can: Capabilities): string {
  const { typeMask } = can;
  const lines = [
    "Report capabilities response:",
    `  Compatible Reservation Handling(CRH): ${flag(can.compatibleReservations)}`,
    `  Specify Initiator Ports Capable(SIP_C): ${flag(can.specifyInitiatorPorts)}`,
    `  All Target Ports Capable(ATP_C): ${flag(can.allTargetPorts)}`,
    `  Persist Through Power Loss Capable(PTPL_C): ${flag(can.persistsThroughPowerLoss)}`,
    `  Type Mask Valid(TMV): ${flag(typeMask !== null)}`,
    `  Allow Commands: ${flag(can.allowedCommands !== 0)}`,
    `  Persist Through Power Loss Active(PTPL_A): ${flag(can.isPersistent)}`,
  ];
  if (typeMask !== null) {
    lines.push("    Support indicated in Type mask:");
    for (const type of MASKS) lines.push(`      ${typeName(type)}: ${typeMask & (1 << type)}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

const LINE_BYTES = 16;

/** Bytes in lines of sixteen, as mpathpersist indents them. */
export function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    const digits = [...bytes.subarray(at, at + LINE_BYTES)].map(
      (byte, index) => `${index === 8 ? " " : ""}${byte.toString(16).padStart(2, "0")}`,
    );
    lines.push(`        ${digits.join(" ")}\n`);
  }
  return lines.join("");
}

const FCP = 0x00;
const ISCSI = 0x05;
const SAS = 0x06;

function transportText(id: Uint8Array): string {
  const [first = 0] = id;
  const format = first >>> 6;
  switch (first & 0x0f) {
    case FCP:
      return `   FCP-2 ${dump(id.subarray(8, 16))}`;
    case SAS:
      return `   SAS ${dump(id.subarray(4, 12))}`;
    case ISCSI: {
      const name = Buffer.from(id.subarray(4))
        .toString("latin1")
        .replace(/\0.*$/s, "")
        .replaceAll(/[^\u0020-\u007e]/g, "?");
      return `   iSCSI ${format === 0 ? "name" : "world wide unique port id"}: ${name}\n`;
    }
    default:
      return "";
  }
}

function registrantText({
  key,
  allTargetPorts,
  isHolder,
  scope,
  type,
  relativeTargetPort,
  transportId,
}: Registrant): string {
  const ports = allTargetPorts
    ? "      All target ports bit set\n"
    : `      All target ports bit clear\n      Relative port address: ${hex(relativeTargetPort)}\n`;
  const where = scope === 0 ? "scope: LU_SCOPE, " : `scope: ${scope} `;
  const held = isHolder
    ? `      << Reservation holder >>\n      ${where} type: ${typeName(type)}\n`
    : "      not reservation holder\n";
  return `   Key = ${key}\n${ports}${held}${transportText(transportId)}`;
}

const text = <T>(answer: Parsed<T>, say: (value: T) => string): Parsed<string> =>
  answer.ok ? { ok: true, value: say(answer.value) } : answer;

/** The text for an answer, or why it makes no sense. */
export function answerText(action: InAction, bytes: Uint8Array): Parsed<string> {
  switch (action) {
    case "keys":
      return text(parseKeys(bytes), keysText);
    case "reservation":
      return text(parseReservation(bytes), ({ generation, held }) => {
        if (held === null) return `  PR generation=${hex(generation)}, there is NO reservation held \n`;
        const scope = held.scope === 0 ? "LU_SCOPE" : String(held.scope);
        return `  PR generation=${hex(generation)}, Reservation follows:\n   Key = ${held.key}\n  scope = ${scope}, type = ${typeName(held.type)}\n`;
      });
    case "capabilities":
      return text(parseCapabilities(bytes), capabilitiesText);
    case "full-status":
      return text(
        parseFullStatus(bytes),
        ({ generation, registrants }) =>
          `  PR generation=${hex(generation)} \n${registrants.map(registrantText).join("")}`,
      );
  }
}
