// How much processor time other programs have used.

import { readdirSync, readFileSync } from "node:fs";

/** Of proc_pid_stat(5); Linux has had this value on every architecture for long. */
const TICKS_PER_SECOND = 100;

/** Parent, and ticks of processor time in user and kernel mode; undefined if the process has ended. */
function statOf(pid: string): { readonly parent: number; readonly ticks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    return { parent: fields[1] ?? 0, ticks: (fields[11] ?? 0) + (fields[12] ?? 0) };
  } catch {
    return undefined;
  }
}

/** Processor time of a process and of all its living descendants, seconds. @param root its process number */
export function processorSeconds(root: number): number {
  const children = new Map<number, number[]>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const stat = statOf(name);
    if (stat === undefined) continue;
    ticks.set(Number(name), stat.ticks);
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)]);
  }
  const of = (pid: number): number =>
    (ticks.get(pid) ?? 0) + (children.get(pid) ?? []).reduce((sum, child) => sum + of(child), 0);
  return of(root) / TICKS_PER_SECOND;
}
