// POSIX expressions of multipath.conf: an expression is refused by its own error or matched, in bounded time.

import { compileEre, type Ere, EreError } from "../../../host/discovery/ere.ts";
import { check, type Target } from "../target.ts";

/** Undefined for what is too long, or none. */
function compiled(expression: string): Ere | undefined {
  try {
    return compileEre(expression);
  } catch (error) {
    if (error instanceof EreError) return undefined;
    throw error;
  }
}

function run(input: Uint8Array): void {
  const [expression = "", ...texts] = Buffer.from(input).toString("latin1").split("\n");
  let ere: Ere;
  try {
    ere = compileEre(expression);
  } catch (error) {
    if (!(error instanceof EreError)) throw error;
    check(error.message.length > 0 && error.at >= 0 && error.at <= expression.length, () => `told at ${error.at}`);
    return;
  }
  const text = texts.join("\n");
  // What holds for all expressions: either of two is what one of them is; one that is anchored matches no more than before.
  const either = compiled(`${expression}|${expression}`);
  check(either === undefined || either.matches(text) === ere.matches(text), () => "E|E is not E");
  // A parenthesis that closes nothing stands for itself, but not in here.
  const anchored = expression.includes(")") ? undefined : compiled(`^(${expression})$`);
  if (anchored?.matches(text) === true) check(ere.matches(text), () => "^(E)$ matches, E does not");
}

export const target: Target = {
  run,
  bytesMax: 256,
  words: ["[[:alpha:]]", "{2,30}", "[^a-z]", "(a|b)*", "\\.", "^", "$", "[]a]", "[[.a.]]", "[[=a=]]"],
  seeds: ["^sd[a-z]+$\nsda", "(a|bc){1,3}x?\nabcx", "[[:digit:]]*\\.[^]0-9-]\n12.x", "a+*b\nab"].map((text) =>
    Buffer.from(text),
  ),
};
