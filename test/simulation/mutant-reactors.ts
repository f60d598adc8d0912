// Mutants of what several reactors tell each other, and of how units go from one to another; the worlds with several reactors have to
// notice them.

import type { Mutant } from "./mutant-list.ts";

export const reactorMutants: readonly Mutant[] = [
  {
    name: "fault-untold",
    why: "other cores are not told of a fault that they may share",
    file: "overdue/shared.ts",
    find: "  if (tellsSharers) event(EVENT_SHARED_FAULT,",
    replace: "  if (tellsSharers && silent) event(EVENT_SHARED_FAULT,",
  },
  {
    name: "fault-told-back",
    why: "what a core was told of a fault it tells again",
    file: "overdue/shared.ts",
    find: "  suspect(null, initiatorPort, targetPort, controller, silent, min(probesMax, PROBES_MAX));",
    replace:
      "  suspect(null, initiatorPort, targetPort, controller, silent, min(probesMax, PROBES_MAX));\n" +
      "  if (tellsSharers) event(EVENT_SHARED_FAULT, silent ? 1 : 0, NONE, NONE, initiatorPort, targetPort, controller, 0);",
  },
  {
    name: "fault-of-another-controller",
    why: "a fault told by another core concerns no other ports of the controller",
    file: "overdue/shared.ts",
    find: "      shares(controller, other.controller);",
    replace: "      (origin !== null && shares(controller, other.controller));",
  },
  {
    name: "answer-told-back",
    why: "what a core was told of an answer it tells again",
    file: "overdue/shared.ts",
    find: "    if ((other.flags & PATH_FLAG_SUSPECT) !== 0 && isOfNexus(other, initiatorPort, targetPort)) clear(other);\n  }",
    replace:
      "    if ((other.flags & PATH_FLAG_SUSPECT) !== 0 && isOfNexus(other, initiatorPort, targetPort)) clear(other);\n  }\n" +
      "  if (tellsSharers) event(EVENT_SHARED_ANSWER, 0, NONE, NONE, initiatorPort, targetPort, 0, 0);",
  },
  {
    name: "answer-of-half-a-nexus",
    why: "an answer told by another core clears only the first suspect",
    file: "overdue/shared.ts",
    find: "isOfNexus(other, initiatorPort, targetPort)) clear(other);",
    replace: "isOfNexus(other, initiatorPort, targetPort)) {\n      clear(other);\n      return;\n    }",
  },
  {
    name: "moved-in-haste",
    why: "control brings a unit up on another reactor while commands of the first are under way",
    file: "overdue/shared.ts",
    find: "const PROBES_MAX: u32 = 8;",
    replace: "const PROBES_MAX: u32 = 8 ;",
    isHasty: true,
  },
];
