// Optimises a compiled module, inlining more small functions than the compiler does: the core consists of many small functions,
// and a call costs as much as the body of most of them. The compiler itself optimises little (asconfig.json), because what it has
// already inlined is not optimised again as well.
//
//   node host/build/inline.mjs FILE...
//   node host/build/inline.mjs --small FILE TO
//
// The second makes the same small, for firmware: there a C compiler follows, which inlines by its own judgement. That both do the same
// is what `npm run replay:embedding` proves: it records the first and plays it to the second.

import { readFileSync, writeFileSync } from "node:fs";
import binaryen from "assemblyscript/binaryen";

/** Sizes (in Binaryen's measure) up to which a function is put into every caller, into callers where that seems to pay, and
 * into its only caller. Found by `npm run bench -- dispatch` and `selection`: smaller ones are slower, larger ones no faster. */
const ALWAYS_MAX = 60;
const FLEXIBLE_MAX = 200;
const ONE_CALLER_MAX = 1000;
/** The first two in the small one: only what is smaller than its call. */
const SMALL_MAX = 2;
const ROUNDS = 3;

const words = process.argv.slice(2);
const small = words[0] === "--small";

binaryen.setOptimizeLevel(3);
binaryen.setShrinkLevel(0);
binaryen.setAlwaysInlineMaxSize(small ? SMALL_MAX : ALWAYS_MAX);
binaryen.setFlexibleInlineMaxSize(small ? SMALL_MAX : FLEXIBLE_MAX);
binaryen.setOneCallerInlineMaxSize(ONE_CALLER_MAX);
binaryen.setAllowInliningFunctionsWithLoops(true);

for (const [file, to] of small ? [words.slice(1)] : words.map((file) => [file, file])) {
  const module = binaryen.readBinary(readFileSync(file));
  module.setFeatures(binaryen.Features.All);
  for (let round = 0; round < ROUNDS; round++) module.optimize();
  if (!module.validate()) throw new Error(`${file}: the optimised module is not valid`);
  writeFileSync(to, module.emitBinary());
  module.dispose();
}
