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
  /** Finds what the code calls beside its imports and functions, to become one of either. */
  readonly find?: (name: string) => { readonly imported: FunctionImport } | { readonly own: FunctionCode };
  readonly functions: readonly FunctionCode[];
}

/** Bytes that grow. One array serves a whole module, section lengths are put in afterwards. */
interface Sink {
  bytes: Uint8Array;
  length: number;
}

const SIZE_FIELD = 5; // a length that is known later: a LEB of five bytes

function put(sink: Sink, byte: number): void {
  if (sink.length + 16 > sink.bytes.length) {
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

/** Reserves a length field and gives its place for endSized. */
function beginSized(sink: Sink): number {
  for (let i = 0; i < SIZE_FIELD; i++) put(sink, 0);
  return sink.length;
}

function endSized(sink: Sink, start: number): void {
  putPaddedLeb(sink, start, sink.length - start);
}

/** In the field that beginSized left in front of `start`. */
function putPaddedLeb(sink: Sink, start: number, value: number): void {
  let rest = value;
  for (let i = SIZE_FIELD; i > 0; i--) {
    sink.bytes[start - i] = (rest & 127) | (i > 1 ? 128 : 0);
    rest >>>= 7;
  }
}

/** Where `if`s with a hint are in a function's body. */
type Hints = { readonly offset: number; readonly value: number }[];

interface Names {
  hintHere(offset: number, value: number): void;
  putCallee(sink: Sink, name: string): void;
  typeOf(signature: Signature): number;
}

function depthOf(scopes: readonly Label[], target: Label): number {
  const at = scopes.lastIndexOf(target);
  if (at < 0) throw new Error(`wasm writer: label ${target.name} is not in scope`);
  return scopes.length - 1 - at;
}

function isSequence(code: Code): code is readonly Code[] {
  return Array.isArray(code);
}

function flatten(sink: Sink, code: Code, scopes: Label[], names: Names): void {
  if (typeof code === 'number') return put(sink, code);
  if (isSequence(code)) {
    for (let i = 0; i < code.length; i++) {
      const part = code[i];
      if (typeof part === 'number') put(sink, part);
      else if (part !== undefined) flatten(sink, part, scopes, names);
    }
    return;
  }
  if ('scope' in code) {
    if (code.hint !== undefined) names.hintHere(sink.length, code.hint);
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
    put(sink, code.tail === true ? 0x12 : 0x10);
    return names.putCallee(sink, code.callee);
  }
  putLeb(sink, names.typeOf(code));
}

function putName(sink: Sink, name: string): void {
  putLeb(sink, name.length);
  for (let i = 0; i < name.length; i++) put(sink, name.charCodeAt(i));
}

function putSection(sink: Sink, id: number, fill: () => void): void {
  put(sink, id);
  const start = beginSized(sink);
  fill();
  endSized(sink, start);
}

function putBody(sink: Sink, f: FunctionCode, names: Omit<Names, 'hintHere'>): Hints {
  const start = beginSized(sink);
  const hints: Hints = [];
  const hintHere = (at: number, value: number): void => void hints.push({ offset: at - start, value });
  const runs: { type: Type; count: number }[] = [];
  for (const type of f.locals) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  putLeb(sink, runs.length);
  for (const run of runs) {
    putLeb(sink, run.count);
    put(sink, TYPE_BYTE[run.type]);
  }
  flatten(sink, f.body, [], { ...names, hintHere });
  put(sink, 0x0b);
  endSized(sink, start);
  return hints;
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
  const imports = [...module.imports];
  const importNumbers = new Map(imports.map((f, i) => [f.name, i]));
  const functions = [...module.functions];
  const own = new Map(functions.map((f, i) => [f.name, i]));
  // Functions are numbered behind the imports, of which more may come: calls of them are put in at the end
  const calls: { at: number; to: number }[] = [];
  const putCallee = (sink: Sink, name: string): void => {
    const known = importNumbers.get(name);
    if (known !== undefined) return putLeb(sink, known);
    let to = own.get(name);
    if (to === undefined) {
      const found = module.find?.(name);
      if (found === undefined) throw new Error(`wasm writer: function ${name} is not known`);
      if ('imported' in found) {
        importNumbers.set(name, imports.length);
        return putLeb(sink, imports.push(found.imported) - 1);
      }
      to = functions.push(found.own) - 1;
      own.set(name, to);
    }
    calls.push({ at: beginSized(sink), to });
  };
  const names = { putCallee, typeOf };
  const hints: Hints[] = [];

  // The code section comes first, so that every type that it mentions is known
  const bodies: Sink = { bytes: new Uint8Array(4096), length: 0 };
  putSection(bodies, 10, () => {
    const count = beginSized(bodies);
    for (const f of functions) hints.push(putBody(bodies, f, names)); // of which there may be more at each turn
    putPaddedLeb(bodies, count, functions.length);
  });
  for (const { at, to } of calls) putPaddedLeb(bodies, at, imports.length + to);
  const importTypes = imports.map(typeOf);
  const functionTypes = functions.map(typeOf);

  const sink: Sink = { bytes: new Uint8Array(4096), length: 0 };
  for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) put(sink, byte);
  putSection(sink, 1, () => {
    putLeb(sink, types.length);
    for (const type of types) {
      put(sink, 0x60);
      putLeb(sink, type.parameters.length);
      for (const t of type.parameters) put(sink, TYPE_BYTE[t]);
      putLeb(sink, type.results.length);
      for (const t of type.results) put(sink, TYPE_BYTE[t]);
    }
  });
  putSection(sink, 2, () => {
    putLeb(sink, imports.length + 1 + (module.tableSize === undefined ? 0 : 1));
    putName(sink, 'm');
    putName(sink, 'memory');
    put(sink, 2);
    put(sink, 1);
    putLeb(sink, module.memoryPages);
    putLeb(sink, module.memoryPages);
    if (module.tableSize !== undefined) {
      putName(sink, 'm');
      putName(sink, 'table');
      for (const byte of [1, 0x70, 0, ...unsignedLeb(module.tableSize)]) put(sink, byte);
    }
    imports.forEach((f, i) => {
      putName(sink, 'm');
      putName(sink, f.name);
      put(sink, 0);
      putLeb(sink, importTypes[i] ?? 0);
    });
  });
  putSection(sink, 3, () => {
    putLeb(sink, functionTypes.length);
    for (const type of functionTypes) putLeb(sink, type);
  });
  putSection(sink, 7, () => {
    putLeb(sink, functions.filter((f) => f.exported).length);
    functions.forEach((f, i) => {
      if (!f.exported) return;
      putName(sink, f.name);
      put(sink, 0);
      putLeb(sink, imports.length + i);
    });
  });
  putSection(sink, 0, () => {
    putName(sink, 'metadata.code.branch_hint');
    putLeb(sink, hints.filter((list) => list.length > 0).length);
    hints.forEach((list, i) => {
      if (list.length === 0) return;
      putLeb(sink, imports.length + i);
      putLeb(sink, list.length);
      for (const { offset, value } of list) {
        putLeb(sink, offset);
        put(sink, 1);
        put(sink, value);
      }
    });
  });
  const tail: Sink = { bytes: new Uint8Array(1024), length: 0 };
  putSection(tail, 0, () => {
    putName(tail, 'name');
    // Names of functions, for profilers and stack traces; sections that know no names come in front of it
    put(tail, 1);
    const start = beginSized(tail);
    putLeb(tail, functions.length);
    functions.forEach((f, i) => {
      putLeb(tail, imports.length + i);
      putName(tail, f.name);
    });
    endSized(tail, start);
  });
  const whole = new Uint8Array(sink.length + bodies.length + tail.length);
  whole.set(sink.bytes.subarray(0, sink.length));
  whole.set(bodies.bytes.subarray(0, bodies.length), sink.length);
  whole.set(tail.bytes.subarray(0, tail.length), sink.length + bodies.length);
  return whole;
}
