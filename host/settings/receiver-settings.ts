// Settings of `[[receivers]]`: who else is told of events.

import type { SettingTable } from "./setting.ts";

export const RECEIVER_SETTINGS = {
  "receivers.name": {
    type: "made",
    values: "1 to 32 letters, digits or `.` `-` `_`",
    otherwise: "needed",
    says: "its name in messages, metrics and `pathctl messages test`",
  },
  "receivers.kind": {
    type: "choice",
    values: ["webhook", "syslog", "journald", "snmp", "mail"],
    otherwise: "needed",
    says: "how it is told",
  },
  "receivers.only": {
    type: "choice",
    values: ["manager", "alive", "all"],
    default: "manager",
    says: "events for the operators' manager, for ALIVE (remote maintenance), or all ([messages](messages.md))",
  },
  "receivers.level": {
    type: "choice",
    values: ["info", "warning", "error"],
    default: "info",
    says: "the least level",
  },
  "receivers.messages": {
    type: "made",
    values: "a list of numbers",
    otherwise: "every number",
    says: "only messages with these numbers",
  },
  "receivers.units": {
    type: "made",
    values: "a list of unit numbers",
    otherwise: "every event",
    says: "only events about these units",
  },
  "receivers.queue_max": {
    type: "whole",
    min: 10,
    max: 100_000,
    default: 1000,
    says: "events that wait for it; further ones are counted and dropped",
  },
  "receivers.url": {
    type: "made",
    values: "an `https:` or `http:` URL",
    otherwise: "needed by webhook",
    says: "where a webhook is posted to; redirects are not followed",
  },
  "receivers.shape": {
    type: "choice",
    values: ["plain", "alertmanager", "cloudevents"],
    default: "plain",
    says: "what a webhook is sent: our own JSON, that of Alertmanager (`/api/v2/alerts`), or CloudEvents",
  },
  "receivers.secret_file": {
    type: "place",
    otherwise: "none",
    says: "key with which a webhook is signed (HMAC-SHA-256), 16 bytes or more, mode 0640 or less",
  },
  "receivers.authority": {
    type: "place",
    otherwise: "Node's own",
    says: "PEM certificates of the authorities that a webhook's or syslog's server is verified against",
  },
  "receivers.address": {
    type: "made",
    values: '`"unix:/path"`, `"udp://host:514"`, `"tcp://host:601"`, `"tls://host:6514"`',
    otherwise: "needed by syslog and snmp",
    says: "the syslog server, or (`udp://host:162`) who gets SNMP notifications",
  },
  "receivers.version": {
    type: "choice",
    values: ["2c", "3"],
    default: "2c",
    says: "version of SNMP",
  },
  "receivers.confirmed": {
    type: "flag",
    default: false,
    says: "`true`: informs, which the SNMP receiver confirms; else traps",
  },
  "receivers.community_file": {
    type: "place",
    otherwise: "needed by SNMP 2c",
    says: "file with the community, mode 0640 or less",
  },
  "receivers.user": {
    type: "text",
    otherwise: "needed by SNMP 3",
    says: "user of SNMP 3",
  },
  "receivers.auth_file": {
    type: "place",
    otherwise: "none",
    says: "passphrase for authentication by SHA-256 in SNMP 3, 8 bytes or more, mode 0640 or less",
  },
  "receivers.privacy_file": {
    type: "place",
    otherwise: "none",
    says: "passphrase for encryption by AES in SNMP 3, 8 bytes or more, mode 0640 or less",
  },
  "receivers.to": {
    type: "made",
    values: "an e-mail address",
    otherwise: "needed by mail",
    says: "who gets the mail",
  },
  "receivers.program": {
    type: "place",
    otherwise: "`/usr/sbin/sendmail`",
    says: "the program that sends mail",
  },
} as const satisfies SettingTable;
