// Node reads assembly/abi.ts as well; for it AssemblyScript's integer types are plain numbers.
type u32 = number;
