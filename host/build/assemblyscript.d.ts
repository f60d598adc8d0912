// assembly/abi.ts is read by Node, too, where AssemblyScript's integer types are plain numbers.
type u32 = number;
