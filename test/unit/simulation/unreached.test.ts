// What is listed as reached by nobody is really there; `npm run coverage` shows that nobody reaches it.

import test from "ava";
import { namesNothing } from "../../coverage/measure.ts";
import { markSources } from "../../instrument/places.ts";

test("each entry of the list of unreached outcomes names a condition of the core", (t) => {
  const { places } = markSources();
  t.deepEqual(namesNothing(places), []);
  t.not(namesNothing(places.slice(0, places.length / 2)).length, 0);
});
