// Ways to break the core that show only while units grow or shrink. That a path which reports the end of its unit is blamed shows
// in no answer: see test/unit/simulation/resizes.test.ts.

import type { Mutant } from "./mutant-list.ts";

export const sizeMutants: readonly Mutant[] = [
  {
    name: "growth-is-not-used",
    why: "a unit stays as small as it has ever been",
    file: "unitset.ts",
    find: "  unit.blocks = blocks;\n",
    replace: "  unit.blocks = unit.blocks === 0 ? blocks : min(unit.blocks, blocks);\n",
  },
  {
    name: "shrinking-is-not-noticed",
    why: "a unit stays as large as it has ever been",
    file: "unitset.ts",
    find: "  unit.blocks = blocks;\n",
    replace: "  unit.blocks = max(unit.blocks, blocks);\n",
  },
];
