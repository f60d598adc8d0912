// The status page: asks the daemon again and again, and shows what it says. It changes nothing.

import type { EventList as Events } from "../../control/schemas/event-schema.ts";
import type { PathView } from "../../control/schemas/path-schema.ts";
import type { LatenciesView, StatisticsView, Status } from "../../control/schemas/status-schema.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { agoText, latencyText } from "../../cli/text.ts";
import { byId, write } from "../ground/element.ts";
import { followTheme } from "../ground/theme.ts";
import { cablingOf, consequenceText, type Consequence } from "../model/cabling.ts";
import { keyOf, RecentLatencies, sampleBetween } from "../model/recent.ts";
import { ask, askForToken, Refused } from "./asking.ts";
import { EventList } from "./event-list.ts";
import { Figures } from "./figures.ts";
import { drawMap, rereadColours } from "./heat-map.ts";
import { showLosses } from "./losses.ts";
import { PathTable } from "./path-table.ts";
import { Picture, type Choice } from "./picture.ts";

/** How often the daemon is asked; the more there is to tell, the less often. */
const PAUSE_MS = 2000;
const PAUSE_MS_MAX = 10_000;
/** Answers may take this part of the time. */
const BUSY_PART = 0.25;
/** Units are asked for again after events, and at least this often. */
const UNITS_MS = 20_000;
const EVENTS_MAX = 200;

const figures = new Figures();
const latencies = new RecentLatencies();
const events = new EventList();
const table = new PathTable(latencies, (path) => choosePath(path));
const picture = new Picture((choice) => narrow(choice));

let units: readonly UnitView[] = [];
let paths: readonly PathView[] = [];
let losses: readonly Consequence[] = [];
let chosenPath: PathView | null = null;
let statistics: StatisticsView | null = null;
let unitsAskedMs = -Infinity;
let heardMs: number | null = null;

function narrow(choice: Choice | null): void {
  const members = choice?.component === null || choice === null ? null : new Set(choice.component.paths);
  const within = (path: PathView): boolean => members?.has(path) ?? choice?.units?.has(path.unit) ?? true;
  table.show(paths, choice === null ? null : within);
  const loss = losses.find(({ component }) => component === choice?.component);
  const told =
    choice === null ? "Choose a box to see only its paths, and what its loss would mean." : `Chosen: ${choice.name}.`;
  write(byId("chosen"), loss === undefined ? told : `${told} If it were lost: ${consequenceText(loss)}.`);
  byId<HTMLButtonElement>("choose-none").hidden = choice === null;
}

function choosePath(path: PathView): void {
  chosenPath = path;
  byId("detail").hidden = false;
  drawDetail();
  byId("detail-title").focus();
}

function drawDetail(): void {
  const path = chosenPath;
  if (path === null) return;
  const columns = latencies.of(keyOf(path));
  write(byId("detail-title"), `Latencies of path ${path.number} of unit #${path.unit}`);
  const range = drawMap(byId<HTMLCanvasElement>("map"), columns, latencies.boundsUs);
  write(byId("map-top"), range === null ? "" : latencyText(range[1]));
  write(byId("map-bottom"), range === null ? "no commands yet" : latencyText(range[0]));
  const error = path.lastError === null ? "none" : path.lastError.text;
  const answer = path.statistics.lastAnswerMs;
  const facts = [
    `last error: ${error}`,
    `last answer: ${answer === null ? "never" : `${agoText(answer)} before the last list of paths`}`,
    `device: ${[path.device, path.blockDevice].filter((one) => one !== null).join(", ") || "none"}`,
    `priority ${path.priority}`,
  ];
  write(byId("detail-facts"), facts.join(" · "));
}

async function askUnits(): Promise<void> {
  ({ units } = await ask<{ units: UnitView[] }>("v1/units"));
  unitsAskedMs = performance.now();
  paths = units.flatMap((unit) => unit.paths);
  const cabling = cablingOf(units);
  losses = showLosses(cabling);
  if (chosenPath !== null)
    chosenPath = paths.find((path) => chosenPath !== null && keyOf(path) === keyOf(chosenPath)) ?? chosenPath;
  table.show(paths, null);
  picture.show(cabling);
  picture.rechoose();
}

async function askAll(): Promise<void> {
  const since = events.last === 0 ? "" : `&since=${events.last}`;
  const [status, now, news] = await Promise.all([
    ask<Status>("v1/status"),
    ask<StatisticsView>("v1/statistics"),
    ask<Events>(`v1/events?limit=${EVENTS_MAX}${since}`),
  ]);
  figures.status(status);
  const before = events.last;
  events.add(news.events, news.last);
  if (news.last !== before || performance.now() - unitsAskedMs > UNITS_MS) await askUnits();
  const numbers = new Set([...table.shown, ...(chosenPath === null ? [] : [chosenPath])].map(({ number }) => number));
  if (numbers.size > 0) latencies.add(await ask<LatenciesView>(`v1/latencies?paths=${[...numbers].join(",")}`));
  const sample = sampleBetween(statistics, now);
  if (statistics !== null) figures.sample(sample);
  table.tell(statistics === null ? null : sample);
  statistics = now;
  drawDetail();
}

function complain(thrown: unknown): void {
  const age = heardMs === null ? "" : ` What is shown is ${agoText(performance.now() - heardMs)} old.`;
  const why = thrown instanceof Refused ? thrown.message : "the daemon does not answer";
  write(byId("trouble"), `${why}.${age}`);
  byId("trouble").hidden = false;
}

async function follow(): Promise<void> {
  for (;;) {
    const beginMs = performance.now();
    try {
      await askAll();
      heardMs = performance.now();
      byId("trouble").hidden = true;
      document.body.dataset["ready"] = "true";
    } catch (thrown) {
      complain(thrown);
      if (thrown instanceof Refused && thrown.status === 401) {
        await askForToken();
        continue;
      }
    }
    const tookMs = performance.now() - beginMs;
    await new Promise((resolve) => {
      const pauseMs = Math.max(PAUSE_MS, Math.min(PAUSE_MS_MAX, tookMs / BUSY_PART));
      setTimeout(resolve, Math.max(PAUSE_MS / 10, pauseMs - tookMs));
    });
  }
}

followTheme(() => {
  rereadColours();
  table.redraw();
  drawDetail();
});
byId("choose-none").addEventListener("click", () => picture.choose(null));
byId("detail-close").addEventListener("click", () => {
  chosenPath = null;
  byId("detail").hidden = true;
  byId("path-filter").focus();
});
void follow();
