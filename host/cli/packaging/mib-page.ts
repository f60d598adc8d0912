// Writes the MIB of our SNMP notifications from the catalogue of messages.
//
//   node host/cli/packaging/mib-page.ts [--check]      --check: only compares; exit status 1 when they differ

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { kindOf, MESSAGES, type MessageName } from "../../liaison/messages.ts";
import { ENTERPRISE, OBJECTS, type ObjectName } from "../../liaison/receivers/mib.ts";

const FILE = new URL("../../../docs/PATHMANAGER-MIB.txt", import.meta.url);

const KINDS = (Object.keys(MESSAGES) as MessageName[]).toSorted((a, b) => kindOf(a).number - kindOf(b).number);

const upper = (word: string): string => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;

/** `pathmanagerFailoverDone`. */
const notificationOf = (kind: MessageName): string => `pathmanager${kind.split("-").map(upper).join("")}`;
const objectOf = (name: ObjectName): string => `pathmanagerEvent${upper(name)}`;

const TEXT = "DisplayString (SIZE (0..255))";
/** Syntax and meaning of each object. */
const SYNTAX: Readonly<Record<ObjectName, readonly [string, string]>> = {
  id: ["Unsigned32", "Grows by one with each event; tells a repetition from a new event."],
  number: ["Integer32 (257..65535)", "Number of the message."],
  kind: [TEXT, "Stable name of the kind of event."],
  level: ["INTEGER { info(1), warning(2), error(3) }", "Level of the event."],
  text: ["OCTET STRING (SIZE (0..1000))", "The whole sentence in ASCII."],
  host: [TEXT, "Name of the host on which it happened."],
  unit: ["Integer32 (-1..65535)", "Number of the logical unit; -1 when it is about none."],
  path: [TEXT, "Path number, host:channel:target:lun; empty when it is about none."],
  time: [TEXT, "When it happened, in UTC (ISO 8601)."],
  identity: [TEXT, "Identity of the logical unit, the same on all hosts; empty when it is about none."],
  array: [TEXT, "Vendor and product of the array that the unit is of; empty when it is about none."],
};

const WIDTH = 70;

/** A description's text: no quotation marks, lines of a bearable length. */
function description(text: string): string {
  const lines: string[] = [""];
  for (const word of text.replaceAll('"', "'").replaceAll("`", "").split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last.length + word.length + 1 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return `"${lines.join("\n         ")}"`;
}

const object = (name: ObjectName, index: number): string => `${objectOf(name)} OBJECT-TYPE
    SYNTAX      ${SYNTAX[name][0]}
    MAX-ACCESS  accessible-for-notify
    STATUS      current
    DESCRIPTION
        ${description(SYNTAX[name][1])}
    ::= { pathmanagerEventObjects ${index + 1} }
`;

const list = (names: readonly string[]): string => names.map((name) => `        ${name}`).join(",\n");

function notification(kind: MessageName): string {
  const { number, text, means, remedy } = kindOf(kind);
  return `${notificationOf(kind)} NOTIFICATION-TYPE
    OBJECTS {
${list(OBJECTS.map(objectOf))}
    }
    STATUS      current
    DESCRIPTION
        ${description(`${text}. ${means} What to do: ${remedy}`)}
    ::= { pathmanagerEvents ${number} }
`;
}

const mib = (): string => `PATHMANAGER-MIB DEFINITIONS ::= BEGIN

-- Made by host/cli/packaging/mib-page.ts from host/liaison/catalogue.

IMPORTS
    MODULE-IDENTITY, OBJECT-TYPE, NOTIFICATION-TYPE, Integer32, Unsigned32,
    enterprises
        FROM SNMPv2-SMI
    MODULE-COMPLIANCE, OBJECT-GROUP, NOTIFICATION-GROUP
        FROM SNMPv2-CONF
    DisplayString
        FROM SNMPv2-TC;

pathmanagerMIB MODULE-IDENTITY
    LAST-UPDATED "202611280000Z"
    ORGANIZATION "PathManager"
    CONTACT-INFO "See the documentation of PathManager."
    DESCRIPTION  "Notifications of PathManager, a multipath daemon for SCSI. The
         number of a notification is that of the message."
    REVISION     "202611280000Z"
    DESCRIPTION  "First version."
    ::= { pathmanager 1 }

pathmanager             OBJECT IDENTIFIER ::= { enterprises ${ENTERPRISE} }
pathmanagerEvents       OBJECT IDENTIFIER ::= { pathmanagerMIB 0 }
pathmanagerEventObjects OBJECT IDENTIFIER ::= { pathmanagerMIB 1 }
pathmanagerConformance  OBJECT IDENTIFIER ::= { pathmanagerMIB 2 }

${OBJECTS.map(object).join("\n")}
${KINDS.map(notification).join("\n")}
pathmanagerObjectGroup OBJECT-GROUP
    OBJECTS {
${list(OBJECTS.map(objectOf))}
    }
    STATUS      current
    DESCRIPTION "What every notification holds."
    ::= { pathmanagerConformance 1 }

pathmanagerNotificationGroup NOTIFICATION-GROUP
    NOTIFICATIONS {
${list(KINDS.map(notificationOf))}
    }
    STATUS      current
    DESCRIPTION "One notification for each kind of message."
    ::= { pathmanagerConformance 2 }

pathmanagerCompliance MODULE-COMPLIANCE
    STATUS      current
    DESCRIPTION "What PathManager sends."
    MODULE
        MANDATORY-GROUPS { pathmanagerObjectGroup, pathmanagerNotificationGroup }
    ::= { pathmanagerConformance 3 }

END
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) writeFileSync(FILE, mib());
  else if (readFileSync(FILE, "utf8") !== mib()) {
    console.error("docs/PATHMANAGER-MIB.txt is out of date; run: node host/cli/packaging/mib-page.ts");
    process.exitCode = 1;
  }
}
