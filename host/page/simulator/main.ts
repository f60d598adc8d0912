// The simulator page: the core that the daemon runs, once for each policy, each with an emulated array, at the pace of the screen.

import wasm from "../../../build/core.wasm";
import { POLICY_NAMES } from "../../settings/names.ts";
import { byId, make, write } from "../ground/element.ts";
import { followTheme } from "../ground/theme.ts";
import { Lane } from "../model/lane.ts";
import { LaneRow } from "./lane-row.ts";
import { Scene } from "./scene.ts";

const FIRST_POLICIES: readonly string[] = ["static", "round-robin", "least-in-flight", "adaptive"];
const SEED = 1;
/** A frame spends at most this on simulating, so that the page stays quick. */
const FRAME_MS_MAX = 9;
/** Lanes go on in steps of this much of their time. */
const STEP_NS = 1_000_000;
/** How often figures are written. */
const FIGURES_MS = 250;
/** A page that was hidden does not catch up. */
const GAP_MS_MAX = 100;

const module = new WebAssembly.Module(wasm);
const rows = new Map<string, LaneRow>();
const scene = new Scene(() => applyAll());
const pace = byId<HTMLSelectElement>("pace");
const pause = byId<HTMLButtonElement>("pause");
let isPaused = false;
let shownMs = 0;
/** Time that lanes went on, and time that passed, since figures were written. */
const clock = { lanesNs: 0, realMs: 0 };

function apply(lane: Lane): void {
  lane.depth = scene.depth;
  for (const [path, { factor, trouble }] of scene.paths.entries()) {
    lane.slow(path, factor);
    lane.trouble(path, trouble);
  }
}

function applyAll(): void {
  for (const { lane } of rows.values()) apply(lane);
}

function choose(name: string, isChosen: boolean): void {
  rows.get(name)?.element.remove();
  rows.delete(name);
  if (!isChosen) return;
  const lane = new Lane(
    module,
    POLICY_NAMES.findIndex((policy) => policy === name),
    SEED,
  );
  apply(lane);
  rows.set(name, new LaneRow(name, lane));
  // In the order of the choices.
  const ordered = POLICY_NAMES.flatMap((policy) => rows.get(policy)?.element ?? []);
  byId("lanes").replaceChildren(...ordered);
}

function showFigures(): void {
  const figures = new Map([...rows.values()].map((row) => [row, row.lane.tally.figures]));
  const p99s = [...figures.values()].flatMap(({ p99Us }) => (p99Us === null ? [] : [p99Us]));
  const best = p99s.length > 1 ? Math.min(...p99s) : null;
  for (const [row, one] of figures) row.show(one, best !== null && one.p99Us === best);
  const rate = clock.realMs === 0 ? 0 : clock.lanesNs / 1e6 / clock.realMs;
  write(
    byId("clock"),
    isPaused ? "paused" : `${rate < 0.095 ? rate.toFixed(2) : rate.toFixed(1)} s simulated per second`,
  );
  clock.lanesNs = 0;
  clock.realMs = 0;
  document.body.dataset["ready"] = "true";
}

/** Goes on by this much, or as far as this frame has time. */
function advance(ns: number): number {
  const endMs = performance.now() + FRAME_MS_MAX;
  let done = 0;
  while (done < ns && performance.now() < endMs) {
    const step = Math.min(STEP_NS, ns - done);
    for (const { lane } of rows.values()) lane.advanceTo(lane.nowNs + step);
    done += step;
  }
  return done;
}

function frame(lastMs: number): void {
  requestAnimationFrame((nowMs) => {
    const gapMs = Math.min(GAP_MS_MAX, Math.max(0, nowMs - lastMs));
    if (!isPaused) clock.lanesNs += advance(gapMs * 1e6 * Number(pace.value));
    clock.realMs += gapMs;
    if (nowMs - shownMs >= FIGURES_MS) {
      shownMs = nowMs;
      showFigures();
    }
    frame(nowMs);
  });
}

function begin(): void {
  for (const name of POLICY_NAMES) if (rows.has(name)) choose(name, true);
}

byId("policies").append(
  ...POLICY_NAMES.map((name) => {
    const box = make("input", { type: "checkbox", id: `policy-${name}` });
    box.checked = FIRST_POLICIES.includes(name);
    box.addEventListener("change", () => choose(name, box.checked));
    return make("span", { class: "policy" }, box, make("label", { for: box.id }, name));
  }),
);
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  write(pause, isPaused ? "Go on" : "Pause");
});
byId("again").addEventListener("click", begin);
// A daemon has its status page beside it; a folder of files has not.
byId("to-status").hidden = !location.pathname.endsWith("/simulator");
followTheme(() => undefined);
for (const name of FIRST_POLICIES) choose(name, true);
frame(performance.now());
