// The regular expressions of selectors are those of regcomp(3), which multipath.conf is written in. bash uses regcomp
// for `[[ text =~ expression ]]`, so it is asked what is right.

import { spawnSync } from "node:child_process";
import test from "ava";
import fc from "fast-check";
import { compileEre, EreError } from "../../../host/discovery/ere.ts";

type Answer = "matches" | "differs" | "invalid";

/** What the C library says of each pair. */
function ofLibrary(pairs: readonly (readonly [string, string])[]): Answer[] {
  const script =
    'while IFS= read -r -d "" expression && IFS= read -r -d "" text; do [[ $text =~ $expression ]] 2>/dev/null; echo $?; done';
  const input = pairs.map(([expression, text]) => `${expression}\0${text}\0`).join("");
  const { stdout } = spawnSync("bash", ["-c", script], { input, env: { LC_ALL: "C" }, encoding: "utf8" });
  const words: readonly Answer[] = ["matches", "differs", "invalid"];
  return stdout
    .trim()
    .split("\n")
    .map((status) => words[Number(status)] ?? "invalid");
}

function ofOurs([expression, text]: readonly [string, string]): Answer {
  try {
    return compileEre(expression).matches(text) ? "matches" : "differs";
  } catch (thrown) {
    if (thrown instanceof EreError) return "invalid";
    throw thrown;
  }
}

const KNOWN: readonly (readonly [string, string, Answer])[] = [
  ["^(sd[a-z]|dasd[a-z]|nvme[0-9])", "sdaa", "matches"],
  ["^(ram|raw|loop|fd|md|dm-|sr|scd|st)[0-9]*", "sdc", "differs"],
  ["(ATA|LSI)", "LSI", "matches"],
  ["^ATA$", "ATA ", "differs"],
  ["HSV1[01]1|HSV2[01]0", "HSV210 (C)COMPAQ", "matches"],
  ["^36005076.{25}$", "36005076801234567890123456789abcd", "matches"],
  ["^36005076.{26}$", "36005076801234567890123456789abcd", "differs"],
  ["Universal Xport", "Universal Xport", "matches"],
  ["S/390", "S/390", "matches"],
  ["[[:digit:]]{3}", "a12", "differs"],
  ["[]a-]+", "]-a", "matches"],
  ["[^]a]", "]a", "differs"],
  ["a\\.b", "axb", "differs"],
  ["", "anything", "matches"],
  ["()", "", "matches"],
  ["a|", "x", "matches"],
  ["a)", "a)", "matches"],
  ["*", "x", "invalid"],
  ["a|*b", "b", "invalid"],
  ["(", "x", "invalid"],
  ["[a", "a", "invalid"],
  ["a{2,1}", "aa", "invalid"],
  ["[z-a]", "b", "invalid"],
  ["[[:nix:]]", "b", "invalid"],
  ["a\\", "a", "invalid"],
];

for (const [expression, text, answer] of KNOWN) {
  test(`${JSON.stringify(expression)} and ${JSON.stringify(text)}: ${answer}`, (t) => {
    t.is(ofOurs([expression, text]), answer);
    t.deepEqual(ofLibrary([[expression, text]]), [answer]);
  });
}

test("random expressions mean what the C library says, or are refused by both", (t) => {
  const piece = fc.constantFrom(
    ..."abc^$.*+?|()[]{},-\\12:",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[[:alpha:]]",
    "{1,2}",
    "{2}",
    "{0,1}",
    "(a|b)",
    "\\.",
    "\\w",
  );
  const expression = fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join(""));
  const text = fc.array(fc.constantFrom(..."abc.1-]{("), { maxLength: 6 }).map((pieces) => pieces.join(""));
  // One question for all: bash is asked once, so a failure is not shrunk, and need not be.
  const pairs = fc.sample(fc.tuple(expression, text), 4000);
  const right = ofLibrary(pairs);
  const answers = pairs.map(ofOurs);
  const wrong = pairs
    .map((pair, index) => ({ pair, ours: answers[index], right: right[index] }))
    // Back-references and edges of words are refused: they cannot be followed in bounded time, or nobody needs them.
    .filter(({ pair, ours, right: answer }) => ours !== answer && !(/\\[1-9b]/.test(pair[0]) && ours === "invalid"));
  t.deepEqual(wrong, []);
  t.true(answers.filter((answer) => answer !== "invalid").length > 400);
});

test("what takes others for ever is answered, and what would be too large is refused", (t) => {
  t.false(compileEre("(a*)*(a*)*(a|a)*b$").matches("a".repeat(2000)));
  t.throws(() => compileEre("((a{100}){100}){100}"), { instanceOf: EreError, message: /too large/ });
  t.throws(() => compileEre("(".repeat(200) + ")".repeat(200)), { instanceOf: EreError, message: /too deeply/ });
  t.throws(() => compileEre("a".repeat(5000)), { instanceOf: EreError });
});
