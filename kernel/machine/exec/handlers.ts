// Handler functions outside the run loop, generated when the decoder first meets a variant of an instruction: one small
// module each, with the helpers that it calls imported (and generated, too, when they are first needed).

import type { Helper } from '../isa/declare.ts';
import { createBody, functionLocals } from './body.ts';
import type { FormCode, Variant } from './emit.ts';
import { emitHandler } from './emit.ts';
import { HANDLER_SIGNATURE } from './core.ts';
import type { Code } from './wasm.ts';
import { local } from './wasm.ts';
import type { FunctionCode, FunctionImport } from './wasm-module.ts';
import { moduleBytes } from './wasm-module.ts';

export const TABLE_SIZE = 8192;

/** What generated modules link to; part of a machine, never frozen. */
export interface Linker {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: number;
  readonly table: WebAssembly.Table;
  readonly helpers: ReadonlyMap<string, Helper>;
  /** Functions that exist, by name: those of the core and helpers made so far. */
  readonly functions: Map<string, { readonly type: FunctionImport; readonly code: WebAssembly.WasmFunction }>;
  tableUsed: number;
}

function collectCallees(code: Code, into: Set<string>): void {
  if (typeof code === 'number') return;
  if ('callee' in code) into.add(code.callee);
  else if ('scope' in code) {
    collectCallees(code.body, into);
    if (code.orElse !== undefined) collectCallees(code.orElse, into);
  } else if (!('jump' in code) && !('targets' in code) && !('parameters' in code))
    for (const part of code) collectCallees(part, into);
}

function instantiate(linker: Linker, code: FunctionCode): WebAssembly.WasmFunction {
  const callees = new Set<string>();
  collectCallees(code.body, callees);
  callees.delete(code.name);
  const imports: FunctionImport[] = [];
  const values: Record<string, WebAssembly.ImportValue> = { memory: linker.memory };
  for (const name of callees) {
    const found = linker.functions.get(name) ?? makeHelper(linker, name);
    imports.push(found.type);
    values[name] = found.code;
  }
  const bytes = moduleBytes({ memoryPages: linker.memoryPages, imports, functions: [code] });
  const made = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: values }).exports[code.name];
  if (made === undefined) throw new Error(`${code.name} was not exported`);
  return made;
}

function makeHelper(linker: Linker, name: string): { type: FunctionImport; code: WebAssembly.WasmFunction } {
  const helper = linker.helpers.get(name);
  if (helper === undefined) throw new Error(`no helper ${name}`);
  const locals = functionLocals(helper.parameters.length);
  const body = createBody(local.get(0), locals);
  const parameter = (i: number): Code => local.get(i);
  const value = helper.emit(
    body,
    parameter(0),
    parameter(1),
    parameter(2),
    parameter(3),
    parameter(4),
    parameter(5),
  );
  const type = {
    name,
    parameters: helper.parameters,
    results: helper.result === undefined ? [] : [helper.result],
  };
  const code = { ...type, locals: locals.types, body: [body.take(), value ?? []], exported: true };
  const made = { type, code: instantiate(linker, code) };
  linker.functions.set(name, made);
  return made;
}

/** Generates the handler and gives its index in the function table. */
export function makeHandler(linker: Linker, form: FormCode, variant: Variant): number {
  const locals = functionLocals(2);
  const code = emitHandler(form, variant, local.get(0), local.get(1), locals, undefined);
  const made = instantiate(linker, {
    ...HANDLER_SIGNATURE,
    name: form.instruction.mnemonic,
    locals: locals.types,
    body: code,
    exported: true,
  });
  const index = linker.tableUsed++;
  linker.table.set(index, made);
  return index;
}
