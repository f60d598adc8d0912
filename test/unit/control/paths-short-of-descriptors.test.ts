// Paths for which the kernel opens no more descriptors go on with those they have: that is said once, not each time a reactor tells.

import test from "ava";
import { Descriptors } from "../../../host/control/events/descriptors.ts";

test("that paths are short of descriptors is said once, with the limit", (t) => {
  const said: unknown[] = [];
  const logger = { error: t.fail, warning: t.fail, info: t.fail, debug: t.fail };
  const descriptors = new Descriptors({ say: (name, more) => void said.push([name, more]) }, logger, 1024);
  descriptors.pathsHave({ descriptorRefusals: 0 });
  t.deepEqual(said, []);
  for (const descriptorRefusals of [1, 1, 7]) descriptors.pathsHave({ descriptorRefusals });
  t.deepEqual(said, [["path-descriptors-short", { detail: { limit: 1024 } }]]);
});
