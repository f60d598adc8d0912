// What would happen if a component were lost: a row for each, the worst first.

import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { pluralText } from "../../cli/text.ts";
import { byId, make, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import { COLUMN_NAMES, consequencesOf, consequenceText, type Cabling, type Consequence } from "../model/cabling.ts";
import type { Mark } from "../model/tones.ts";

/** Rows at most: what harms nobody is left out first. */
const ROWS_MAX = 60;
/** Units that a row names. */
const NAMED_MAX = 6;

function markOf({ stops, lastPath, fewer }: Consequence): Mark {
  if (stops.length > 0) return { tone: "bad", word: "I/O would stop" };
  if (lastPath.length > 0) return { tone: "warn", word: "no reserve left" };
  return fewer.length > 0 ? { tone: "good", word: "carried by others" } : { tone: "idle", word: "lost already" };
}

const named = (units: readonly UnitView[]): string => {
  const names = units.slice(0, NAMED_MAX).map(({ number, name }) => `#${number} ${name}`);
  return units.length > names.length ? `${names.join(", ")} and ${units.length - names.length} more` : names.join(", ");
};

function row(consequence: Consequence): HTMLElement {
  const { component, stops, lastPath } = consequence;
  const units = stops.length > 0 ? stops : lastPath;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, [component.name, component.alias].filter((name) => name !== null).join(" · ")),
    make("td", {}, COLUMN_NAMES[component.column]),
    make("td", {}, new Badge(markOf(consequence)).element),
    make("td", {}, consequenceText(consequence)),
    make("td", { class: "wide" }, named(units)),
  );
}

/** Shows all; returns them, for the component that is chosen. */
export function showLosses(cabling: Cabling): Consequence[] {
  const all = consequencesOf(cabling).toSorted(
    (a, b) =>
      b.stops.length - a.stops.length || b.lastPath.length - a.lastPath.length || b.fewer.length - a.fewer.length,
  );
  byId("loss-rows").replaceChildren(...all.slice(0, ROWS_MAX).map(row));
  const stopping = all.filter(({ stops }) => stops.length > 0).length;
  write(
    byId("loss-summary"),
    stopping === 0
      ? `No single one of ${pluralText(all.length, "component")} would stop a unit that works now.`
      : `${pluralText(stopping, "component")} of ${all.length} would stop units if lost.`,
  );
  return all;
}
