// The part of the WebAssembly JavaScript interface that the machine uses. The project compiles with `types: []`,
// so that neither the DOM nor Node leaks in; this file is the one exception.

declare namespace WebAssembly {
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer;
  }
  interface TableDescriptor {
    element: 'anyfunc';
    initial: number;
    maximum?: number;
  }
  class Table {
    constructor(descriptor: TableDescriptor);
    readonly length: number;
    grow(delta: number): number;
    set(index: number, value: WasmFunction): void;
  }
  interface Module {
    readonly compiled?: never;
  }
  const Module: new (bytes: Uint8Array) => Module;
  type WasmFunction = (...values: number[]) => number;
  type ImportValue = Memory | Table | ((...values: number[]) => number | void);
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, ImportValue>>);
    readonly exports: Record<string, WasmFunction>;
  }
}
