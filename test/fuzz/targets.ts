// All targets by name. A target's own module is loaded only when it runs, after its code was instrumented.

import type { TargetKind } from "./target.ts";

export const TARGETS: Readonly<Record<string, TargetKind>> = {
  negotiation: {
    code: ["host/export/"],
    make: async () => (await import("./targets/negotiation.ts")).target,
  },
  pages: {
    code: ["host/discovery/"],
    make: async () => (await import("./targets/pages.ts")).target,
  },
  expressions: {
    code: ["host/discovery/ere.ts"],
    make: async () => (await import("./targets/expressions.ts")).target,
  },
  multipath: {
    code: ["host/cli/multipath/", "host/discovery/ere.ts"],
    make: async () => (await import("./targets/multipath.ts")).target,
  },
  configuration: {
    code: [
      "host/control/settings/configuration",
      "host/control/schemas/",
      "host/control/settings/policies.ts",
      "node_modules/smol-toml/",
    ],
    make: async () => (await import("./targets/configuration.ts")).target,
  },
  transmission: {
    code: [],
    make: async () => (await import("./targets/transmission.ts")).makeTarget(),
  },
  answers: {
    code: [],
    make: async () => (await import("./targets/answers.ts")).makeTarget(),
  },
  identity: {
    code: ["host/discovery/"],
    make: async () => (await import("./targets/identity.ts")).makeTarget(),
  },
  api: {
    code: ["host/control/"],
    make: async () => (await import("./targets/api.ts")).makeTarget(),
  },
};
