// Our WebAssembly writer, part two: functions and modules. A module is given as plain records; names of functions and
// imports are resolved here, labels become depths, and the result is the binary of the module.
// A function's code refers to its parameters and locals by index (parameters first).

import type { Code, Label, Signature, Type } from './wasm.ts';
import { TYPE_BYTE, unsignedLeb } from './wasm.ts';

export interface FunctionCode extends Signature {
  readonly name: string;
  readonly locals: readonly Type[];
  readonly body: Code;
  readonly exported: boolean;
}
export interface FunctionImport extends Signature {
  readonly name: string;
}
export interface ModuleCode {
  readonly memoryPages: number; // of the imported memory: initial = maximum
  readonly tableSize?: number; // imports the function table when given
  readonly imports: readonly FunctionImport[];
  readonly functions: readonly FunctionCode[];
}

/** A byte sink that grows. */
interface Sink {
  bytes: Uint8Array;
  length: number;
}

function put(sink: Sink, byte: number): void {
  if (sink.length === sink.bytes.length) {
    const larger = new Uint8Array(sink.bytes.length * 2);
    larger.set(sink.bytes);
    sink.bytes = larger;
  }
  sink.bytes[sink.length++] = byte;
}

function putLeb(sink: Sink, value: number): void {
  let rest = value;
  while (rest >= 128) {
    put(sink, (rest & 127) | 128);
    rest >>>= 7;
  }
  put(sink, rest);
}

interface Names {
  readonly functions: ReadonlyMap<string, number>;
  typeOf(signature: Signature): number;
}

function depthOf(scopes: readonly Label[], target: Label): number {
  const at = scopes.lastIndexOf(target);
  if (at < 0) throw new Error(`wasm writer: label ${target.name} is not in scope`);
  return scopes.length - 1 - at;
}

function flatten(sink: Sink, code: Code, scopes: Label[], names: Names): void {
  if (typeof code === 'number') return put(sink, code);
  if ('scope' in code) {
    put(sink, code.scope);
    put(sink, code.result);
    scopes.push(code.label);
    flatten(sink, code.body, scopes, names);
    if (code.orElse !== undefined) {
      put(sink, 0x05);
      flatten(sink, code.orElse, scopes, names);
    }
    scopes.pop();
    return put(sink, 0x0b);
  }
  if ('jump' in code) {
    put(sink, code.jump);
    return putLeb(sink, depthOf(scopes, code.to));
  }
  if ('targets' in code) {
    put(sink, 0x0e);
    putLeb(sink, code.targets.length);
    for (const target of code.targets) putLeb(sink, depthOf(scopes, target));
    return putLeb(sink, depthOf(scopes, code.otherwise));
  }
  if ('callee' in code) {
    const index = names.functions.get(code.callee);
    if (index === undefined) throw new Error(`wasm writer: function ${code.callee} is not known`);
    put(sink, 0x10);
    return putLeb(sink, index);
  }
  if ('parameters' in code) return putLeb(sink, names.typeOf(code));
  for (let i = 0; i < code.length; i++) flatten(sink, code[i] ?? [], scopes, names);
}

function putName(sink: Sink, name: string): void {
  putLeb(sink, name.length);
  for (let i = 0; i < name.length; i++) put(sink, name.charCodeAt(i));
}

function putSection(sink: Sink, id: number, fill: (inner: Sink) => void): void {
  const inner: Sink = { bytes: new Uint8Array(1024), length: 0 };
  fill(inner);
  put(sink, id);
  putLeb(sink, inner.length);
  for (let i = 0; i < inner.length; i++) put(sink, inner.bytes[i] ?? 0);
}

function putBody(sink: Sink, f: FunctionCode, names: Names): void {
  const body: Sink = { bytes: new Uint8Array(512), length: 0 };
  const runs: { type: Type; count: number }[] = [];
  for (const type of f.locals) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  putLeb(body, runs.length);
  for (const run of runs) {
    putLeb(body, run.count);
    put(body, TYPE_BYTE[run.type]);
  }
  flatten(body, f.body, [], names);
  put(body, 0x0b);
  putLeb(sink, body.length);
  for (let i = 0; i < body.length; i++) put(sink, body.bytes[i] ?? 0);
}

/** The module's binary. Imports come from the module name 'm': memory, table and the functions by their names. */
export function moduleBytes(module: ModuleCode): Uint8Array {
  const types: Signature[] = [];
  const typeNumbers = new Map<string, number>();
  const typeOf = (signature: Signature): number => {
    const key = `${signature.parameters.join()}>${signature.results.join()}`;
    const known = typeNumbers.get(key);
    if (known !== undefined) return known;
    typeNumbers.set(key, types.length);
    return types.push(signature) - 1;
  };
  const functions = new Map<string, number>();
  for (const f of [...module.imports, ...module.functions]) functions.set(f.name, functions.size);
  const names: Names = { functions, typeOf };

  // The code section comes first, so that every type that it mentions is known.
  const bodies: Sink = { bytes: new Uint8Array(4096), length: 0 };
  for (const f of module.functions) putBody(bodies, f, names);
  const importTypes = module.imports.map(typeOf);
  const functionTypes = module.functions.map(typeOf);

  const sink: Sink = { bytes: new Uint8Array(8192), length: 0 };
  for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) put(sink, byte);
  putSection(sink, 1, (s) => {
    putLeb(s, types.length);
    for (const type of types) {
      put(s, 0x60);
      putLeb(s, type.parameters.length);
      for (const t of type.parameters) put(s, TYPE_BYTE[t]);
      putLeb(s, type.results.length);
      for (const t of type.results) put(s, TYPE_BYTE[t]);
    }
  });
  putSection(sink, 2, (s) => {
    putLeb(s, module.imports.length + 1 + (module.tableSize === undefined ? 0 : 1));
    putName(s, 'm');
    putName(s, 'memory');
    put(s, 2);
    put(s, 1);
    putLeb(s, module.memoryPages);
    putLeb(s, module.memoryPages);
    if (module.tableSize !== undefined) {
      putName(s, 'm');
      putName(s, 'table');
      for (const byte of [1, 0x70, 0, ...unsignedLeb(module.tableSize)]) put(s, byte);
    }
    module.imports.forEach((f, i) => {
      putName(s, 'm');
      putName(s, f.name);
      put(s, 0);
      putLeb(s, importTypes[i] ?? 0);
    });
  });
  putSection(sink, 3, (s) => {
    putLeb(s, functionTypes.length);
    for (const type of functionTypes) putLeb(s, type);
  });
  putSection(sink, 7, (s) => {
    const exported = module.functions.filter((f) => f.exported);
    putLeb(s, exported.length);
    for (const f of exported) {
      putName(s, f.name);
      put(s, 0);
      putLeb(s, functions.get(f.name) ?? 0);
    }
  });
  putSection(sink, 10, (s) => {
    putLeb(s, module.functions.length);
    for (let i = 0; i < bodies.length; i++) put(s, bodies.bytes[i] ?? 0);
  });
  return sink.bytes.slice(0, sink.length);
}
