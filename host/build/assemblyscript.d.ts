// Node reads assembly/abi.ts, too; there AssemblyScript's integer types are plain numbers.
type u32 = number;
