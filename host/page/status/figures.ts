// The figures at the top: how the daemon is, and what goes through it now, with a line of the last minutes.

import type { Status } from "../../control/schemas/status-schema.ts";
import { agoText, pluralText, rateText } from "../../cli/text.ts";
import { attribute, byId, make, makeSvg, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import { COLUMNS_MAX, type Sample } from "../model/recent.ts";
import type { Tone } from "../model/tones.ts";

const LEVELS: Readonly<Record<Status["health"]["level"], Tone>> = { ok: "good", degraded: "warn", critical: "bad" };

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB/s`;

/** A figure with its line. */
class Figure {
  readonly #value = make("output");
  readonly #line = makeSvg("polyline", { class: "spark-line", "vector-effect": "non-scaling-stroke" });
  readonly #values: number[] = [];

  constructor(name: string) {
    const chart = makeSvg(
      "svg",
      { viewBox: `0 0 ${COLUMNS_MAX - 1} 20`, preserveAspectRatio: "none", "aria-hidden": "true", class: "spark" },
      this.#line,
    );
    byId("figures").append(make("div", { class: "figure" }, make("h3", {}, name), this.#value, chart));
  }

  show(value: number, text: string): void {
    write(this.#value, text);
    this.#values.push(value);
    if (this.#values.length > COLUMNS_MAX) this.#values.shift();
    const most = Math.max(...this.#values, 1);
    const begin = COLUMNS_MAX - this.#values.length;
    const points = this.#values.map((one, at) => `${begin + at},${(19 - (18 * one) / most).toFixed(2)}`);
    attribute(this.#line, "points", points.join(" "));
  }
}

export class Figures {
  readonly #health = new Badge({ tone: "idle", word: "asking" });
  readonly #iops = new Figure("IOPS");
  readonly #read = new Figure("Read");
  readonly #written = new Figure("Written");
  readonly #inFlight = new Figure("In flight");
  readonly #waiting = new Figure("Waiting for a path");

  constructor() {
    byId("health").replaceChildren(this.#health.element);
  }

  status(status: Status): void {
    const { health, host, version, runningMs, paths, pathsUsable, units } = status;
    this.#health.show({ tone: LEVELS[health.level], word: health.level });
    write(byId("host"), host);
    document.title = `${health.level === "ok" ? "" : `${health.level}: `}${host} - PathManager`;
    const facts = [
      `${pathsUsable} of ${pluralText(paths, "path")} usable`,
      pluralText(units, "unit"),
      `version ${version}`,
      `running for ${agoText(runningMs)}`,
    ];
    write(byId("facts"), facts.join(" · "));
    const sentences = status.reactor.answering
      ? status.attention
      : ["the reactor does not answer", ...status.attention];
    const points = health.singlePoints.map(
      ({ component, units: members }) =>
        `every path of ${pluralText(members.length, "unit")} goes through ${component}`,
    );
    const all = [...sentences, ...points];
    byId("attention").replaceChildren(...all.map((sentence) => make("li", {}, sentence)));
    byId("attention-none").hidden = all.length > 0;
  }

  sample({ total, inFlight, waiting }: Sample): void {
    this.#iops.show(total.iops, rateText(total.iops));
    this.#read.show(total.readBytes, megabytes(total.readBytes));
    this.#written.show(total.writtenBytes, megabytes(total.writtenBytes));
    this.#inFlight.show(inFlight, String(inFlight));
    this.#waiting.show(waiting, String(waiting));
  }
}
