// Handler functions outside the run loop, generated when the decoder first meets a variant of an instruction: one small
// module each, with the helpers that it calls imported (and generated, too, when they are first needed).

import type { Helper } from '../isa/declare.ts';
import { createBody, functionLocals } from './body.ts';
import type { FormCode, Variant } from './emit.ts';
import { emitHandler } from './emit.ts';
import { HANDLER_SIGNATURE, TABLE_SIZE } from './signatures.ts';
import type { Code } from './wasm.ts';
import { local } from './wasm.ts';
import type { FunctionCode, FunctionImport } from './wasm-module.ts';
import { moduleBytes } from './wasm-module.ts';

/** What generated modules link to; part of a machine, never frozen. */
export interface Linker {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: number;
  readonly table: WebAssembly.Table;
  readonly helpers: ReadonlyMap<string, Helper>;
  /** Functions that exist, by name: those of the core and helpers made so far. */
  readonly functions: Map<string, { readonly type: FunctionImport; readonly code: WebAssembly.WasmFunction }>;
  tableUsed: number;
  readonly requested: { readonly form: FormCode; readonly variant: Variant; readonly index: number }[];
}

/** One module of these functions; gives what it exports, and its length in bytes. */
export function instantiate(
  linker: Linker,
  functions: readonly FunctionCode[],
  withTable = false,
): { exports: Record<string, WebAssembly.WasmFunction>; length: number } {
  const values: Record<string, WebAssembly.ImportValue> = { memory: linker.memory };
  if (withTable) values['table'] = linker.table;
  const table = withTable ? { tableSize: TABLE_SIZE } : {};
  const importOf = (name: string): FunctionImport => {
    const found = linker.functions.get(name) ?? makeHelper(linker, name);
    values[name] = found.code;
    return found.type;
  };
  const bytes = moduleBytes({ memoryPages: linker.memoryPages, ...table, imports: [], importOf, functions });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: values });
  return { exports, length: bytes.length };
}

function exportOf(exports: Record<string, WebAssembly.WasmFunction>, name: string): WebAssembly.WasmFunction {
  const found = exports[name];
  if (found === undefined) throw new Error(`${name} was not exported`);
  return found;
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
  const made = { type, code: exportOf(instantiate(linker, [code]).exports, name) };
  linker.functions.set(name, made);
  return made;
}

/** Reserves a place in the function table for a handler; finishHandlers() makes it. */
export function requestHandler(linker: Linker, form: FormCode, variant: Variant): number {
  const index = linker.tableUsed++;
  linker.requested.push({ form, variant, index });
  return index;
}

/** Generates the handlers that were requested since, as one module. Before the run loop goes on. */
export function finishHandlers(linker: Linker): void {
  if (linker.requested.length === 0) return;
  const functions = linker.requested.map(({ form, variant, index }): FunctionCode => {
    const locals = functionLocals(2);
    const body = emitHandler(form, variant, local.get(0), local.get(1), locals, undefined);
    return { ...HANDLER_SIGNATURE, name: `h${index}`, locals: locals.types, body, exported: true };
  });
  const { exports } = instantiate(linker, functions);
  for (const { index } of linker.requested) linker.table.set(index, exportOf(exports, `h${index}`));
  linker.requested.length = 0;
}
