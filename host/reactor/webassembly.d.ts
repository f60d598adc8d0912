// The part of the WebAssembly JavaScript interface that is used here. TypeScript declares it with the browser's types
// only (lib "dom"), which would let everything else of a browser type-check as well.

declare namespace WebAssembly {
  interface Module {
    readonly [brand]: "Module";
  }
  interface Description {
    readonly module?: string;
    readonly name: string;
    readonly kind: string;
  }
  const Module: {
    new (bytes: Uint8Array): Module;
    imports(module: Module): Description[];
    exports(module: Module): Description[];
  };
  const brand: unique symbol;
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
  }
}
