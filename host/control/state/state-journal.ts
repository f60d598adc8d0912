// Checks that the journal of a state file is what SQLite wrote (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
// SQLite itself takes the first invalid frame for the end, without reporting it.

import { readFileSync, statSync } from "node:fs";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

type Sums = [number, number];

/** The checksum of the journal's frames over 32-bit words, in the byte order named in the header. */
function sumOf(bytes: Buffer, [first, second]: Sums, isBigEndian: boolean): Sums {
  let [s0, s1] = [first, second];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const word = (where: number): number => (isBigEndian ? bytes.readUInt32BE(where) : bytes.readUInt32LE(where));
    s0 = (s0 + word(at) + s1) >>> 0;
    s1 = (s1 + word(at + 4) + s0) >>> 0;
  }
  return [s0, s1];
}

const fits = ([s0, s1]: Sums, bytes: Buffer, at: number): boolean =>
  bytes.readUInt32BE(at) === s0 && bytes.readUInt32BE(at + 4) === s1;

/** Why the data after the first invalid frame is more than a kill can leave half written; null when it is not. */
function problemIn(bytes: Buffer): string | null {
  const damaged = "its journal is damaged, what happened last is lost";
  const magic = bytes.readUInt32BE(0);
  const isBigEndian = magic === MAGIC + 1;
  let sums = sumOf(bytes.subarray(0, 24), [0, 0], isBigEndian);
  if ((magic & ~1) !== MAGIC || !fits(sums, bytes, 24)) return damaged;
  const pageBytes = bytes.readUInt32BE(8);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const salt = bytes.subarray(16, 24);
  let isSound = true;
  let commitsAfter = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= bytes.length; at += frameBytes) {
    const isOfNow = salt.equals(bytes.subarray(at + 8, at + 16));
    if (isSound) {
      sums = sumOf(bytes.subarray(at, at + 8), sums, isBigEndian);
      sums = sumOf(bytes.subarray(at + FRAME_HEADER_BYTES, at + frameBytes), sums, isBigEndian);
      isSound = isOfNow && fits(sums, bytes, at + 16);
    }
    if (!isSound && isOfNow && bytes.readUInt32BE(at + 4) !== 0) commitsAfter++;
  }
  // A commit is on disk before the next one begins, so only the last commit may be one that was never answered.
  return commitsAfter > 1 ? damaged : null;
}

/** The journal beside a file, before anything opens it. */
export type Journal = { readonly isThere: boolean; readonly problem: string | null };

export function examineJournal(file: string): Journal {
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined) return { isThere: false, problem: null };
  // It is empty once all of it has been copied into the file.
  if (!status.isFile() || status.size < HEADER_BYTES) return { isThere: true, problem: null };
  try {
    return { isThere: true, problem: problemIn(readFileSync(file)) };
  } catch {
    // If it cannot be read, SQLite will report that.
    return { isThere: true, problem: null };
  }
}

/** @param isInUse whether the file says that no daemon has closed it: then there was a journal */
export function journalProblem({ isThere, problem }: Journal, isInUse: boolean): string | null {
  return !isThere && isInUse ? "its journal is gone, what happened last is lost" : problem;
}
