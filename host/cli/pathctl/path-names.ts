// What a path may be called on the command line: its number, the kernel's name of its device, or the names of its two ports.

import type { Output } from "../../control/schemas/routes.ts";
import type { PathView } from "../../control/schemas/path-schema.ts";
import { CommandError, type Client } from "../api-client.ts";
import { canonicalPath, parsePathNumber } from "../path-number.ts";
import { counted } from "../../wording.ts";

const FORMS =
  "a path is its number (4:0:0:1), its device (sdc, sg3), or its ports INITIATOR@TARGET or INITIATOR@TARGET/UNIT, as pathctl show arrays names them";

/** World-wide names are written in many ways: 0x2100..., 21:00:..., wwpn.2100.... */
const bare = (name: string): string => {
  const text = name
    .toLowerCase()
    .replace(/^(wwpn|sas|naa)\./, "")
    .replace(/^0x/, "");
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/.test(text) ? text.replaceAll(":", "") : text;
};

const isPort = (wanted: string, names: readonly (string | null)[]): boolean =>
  names.some((name) => name !== null && bare(name) === bare(wanted));

function matching(paths: readonly PathView[], text: string): PathView[] {
  const [initiator = "", rest] = text.split("@", 2);
  if (rest === undefined) {
    const device = text.replace(/^\/dev\//, "");
    return paths.filter(
      (path) => path.blockDevice === device || path.device === `/dev/${device}` || path.device === device,
    );
  }
  const [, target = rest, unit] = /^(.*)\/#?(\d+)$/.exec(rest) ?? [];
  return paths.filter(
    (path) =>
      isPort(initiator, [path.initiatorName, path.initiatorPort]) &&
      isPort(target, [path.targetName, path.targetPort, path.portal]) &&
      (unit === undefined || path.unit === Number(unit)),
  );
}

/** The number of the path that is meant; asks the daemon unless it is a number already. */
export async function pathNumber(client: Client, text: string): Promise<string> {
  if (parsePathNumber(text) !== undefined) return canonicalPath(text);
  if (!/^(\/dev\/)?(sd[a-z]+|sg\d+)$|^[^@]+@[^@]+$/.test(text)) {
    throw new CommandError("INVALID_ARGUMENT", `${text} is no path number: ${FORMS}`, { parameter: "path" });
  }
  const { paths } = await client.call<Output<"paths">>("GET", "/v1/paths");
  const [found, ...others] = matching(paths, text);
  if (found === undefined) {
    throw new CommandError("UNKNOWN_PATH", `no path is ${text}`, {
      parameter: text,
      remedy: "pathctl show paths and pathctl show arrays list what there is",
    });
  }
  if (others.length > 0) {
    const numbers = [found, ...others].slice(0, 8).map(({ number, unit }) => `${number} (#${unit})`);
    throw new CommandError(
      "AMBIGUOUS_PATH",
      `${text} means ${counted(others.length + 1, "path")}: ${numbers.join(", ")}`,
      {
        parameter: text,
        remedy: `add the unit: ${text}/${found.unit}`,
      },
    );
  }
  return found.number;
}
