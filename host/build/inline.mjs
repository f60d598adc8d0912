// Optimises a compiled module. The small functions that every command passes several times are put into their callers; of the rest
// only what is smaller than its call. A modern engine (V8 since Node 24), and the C compiler in firmware, inline by themselves what is
// called most, and more of it here makes a module larger and not faster. The compiler itself optimises little (asconfig.json),
// because what it has already inlined is not optimised again as well.
//
//   node host/build/inline.mjs FILE...
//   node host/build/inline.mjs --small FILE TO
//
// FILE has the names of its functions; the result has none. The second form optimises for size, for firmware. `npm run replay:embedding`
// proves that both behave alike: it records the first and replays that to the second.

import { readFileSync, writeFileSync } from "node:fs";
import binaryen from "assemblyscript/binaryen";

/** Functions to be put into their callers: choosing a path, and what nearly all of the core calls. Found by `npm run bench -- dispatch`
 * and `selection`: without them choosing takes up to three times as long; with all others the core is half as large again, and no faster. */
const HOT = [
  /^bench\//,
  /^assembly\/selection\/(?!hedge|learning|servers|settings)/,
  /^assembly\/memory\/(buffers|due|lists|ring|statistics|timers|wake)\//,
];
/** Sizes (in Binaryen's measure) up to which such a function is put into every caller, into callers where that seems to pay, and into
 * its only caller. */
const HOT_SIZES = [60, 200, 1000];
/** The same for all. */
const SIZES = [2, 2, 60];
const SMALL_SIZES = [2, 2, 1000];
const ROUNDS = 2;

/** @param {readonly number[]} sizes */
function optimise(module, [always, flexible, oneCaller]) {
  binaryen.setAlwaysInlineMaxSize(always);
  binaryen.setFlexibleInlineMaxSize(flexible);
  binaryen.setOneCallerInlineMaxSize(oneCaller);
  for (let round = 0; round < ROUNDS; round++) module.optimize();
}

/** A module from its bytes. */
function read(bytes) {
  const module = binaryen.readBinary(bytes);
  module.setFeatures(binaryen.Features.All);
  return module;
}

/** Keeps functions that are not hot where they are; whether there are any that are. */
function keepCold(module) {
  const names = Array.from({ length: module.getNumFunctions() }, (_, index) => {
    return binaryen.getFunctionInfo(module.getFunctionByIndex(index)).name;
  });
  const cold = names.filter((name) => !HOT.some((hot) => hot.test(name)));
  for (const name of cold) {
    binaryen.setPassArgument("no-inline", name);
    module.runPasses(["no-inline"]);
  }
  binaryen.clearPassArguments();
  return cold.length < names.length;
}

const words = process.argv.slice(2);
const small = words[0] === "--small";

binaryen.setOptimizeLevel(3);
binaryen.setShrinkLevel(0);
binaryen.setAllowInliningFunctionsWithLoops(true);

for (const [file, to] of small ? [words.slice(1)] : words.map((file) => [file, file])) {
  let module = read(readFileSync(file));
  if (!small) {
    if (!keepCold(module)) throw new Error(`${file}: it has no names, or the rooms it consists of have other ones (HOT)`);
    optimise(module, HOT_SIZES);
    const bytes = module.emitBinary();
    module.dispose();
    // Read anew, all may be inlined again.
    module = read(bytes);
  }
  optimise(module, small ? SMALL_SIZES : SIZES);
  if (!module.validate()) throw new Error(`${file}: the optimised module is not valid`);
  writeFileSync(to, module.emitBinary());
  module.dispose();
}
