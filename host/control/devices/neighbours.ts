// What LVM and dm-multipath are told of the units we take. LVM leaves out disks whose WWIDs are in multipath's list of WWIDs: it would
// find each volume on every path, and then refuse to change anything. multipathd leaves out the units of a blacklist.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { wwidOf } from "../../discovery/wwid.ts";
import { replaceFile } from "../ground/replace-file.ts";

export interface NeighbourPlaces {
  /** multipath's folder. */
  readonly folder: string;
  /** If one of them is there, the host has LVM or multipath. */
  readonly signs: readonly string[];
}

export const NEIGHBOUR_PLACES: NeighbourPlaces = {
  folder: "/etc/multipath",
  signs: ["/etc/lvm", "/etc/multipath", "/etc/multipath.conf"],
};

/** Precedes each line of ours in the list of WWIDs, which is multipath's. */
const MARK = "# of pathmanager:";

const BLACKLIST_HEAD = `# Units of PathManager: multipathd leaves them alone. pathmanagerd writes this file.
blacklist {
`;

/** Characters with a meaning in multipath's regular expressions. */
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

function blacklist(wwids: readonly string[]): string {
  return `${BLACKLIST_HEAD}${wwids.map((wwid) => `\twwid "^${escaped(wwid)}$"\n`).join("")}}\n`;
}

/** The list without the lines that we have added. */
function withoutOurs(text: string): string[] {
  const lines = text.split("\n").filter((line, index, all) => index < all.length - 1 || line !== "");
  return lines.filter((line, index) => line !== MARK && lines[index - 1] !== MARK);
}

function listed(text: string, wwids: readonly string[]): string {
  const others = withoutOurs(text);
  const known = new Set(others);
  const ours = wwids.map((wwid) => `/${wwid}/`).filter((line) => !known.has(line));
  return [...others, ...ours.flatMap((line) => [MARK, line])].map((line) => `${line}\n`).join("");
}

/** Writes both files, if the host has anybody who reads them. Throws when that fails. */
export function tellNeighbours(identities: readonly string[], { folder, signs }: NeighbourPlaces): void {
  const list = join(folder, "wwids");
  const configuration = join(folder, "conf.d/pathmanager.conf");
  const wwids = identities.flatMap((identity) => wwidOf(identity) ?? []).toSorted();
  const hasReaders = signs.some(existsSync);
  if (!hasReaders && !existsSync(configuration)) return;
  // The blacklist comes first: a WWID that is listed and not blacklisted is multipathd's.
  if (wwids.length > 0) replaceFile(configuration, blacklist(wwids));
  const before = existsSync(list) ? readFileSync(list, "utf8") : "";
  const after = listed(before, wwids);
  if (after !== before) replaceFile(list, after);
  if (wwids.length === 0) rmSync(configuration, { force: true });
}
