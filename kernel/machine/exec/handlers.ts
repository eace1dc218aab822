// Handler functions outside the run loop. Those of common.ts are generated with the machine, as one module, the others when
// the decoder first meets a variant of an instruction: a small module a decoded run. Helpers are generated with the first
// module that calls them, and imported by the others.

import type { Helper } from '../isa/declare.ts';
import { createBody, functionLocals } from './body.ts';
import type { FormCode, Variant } from './emit.ts';
import { emitHandler } from './emit.ts';
import { HANDLER_SIGNATURE, TABLE_SIZE } from './signatures.ts';
import { local } from './wasm.ts';
import type { FunctionCode, FunctionImport, ModuleCode } from './wasm-module.ts';
import { moduleBytes } from './wasm-module.ts';

const PARAMETERS = [
  local.get(0),
  local.get(1),
  local.get(2),
  local.get(3),
  local.get(4),
  local.get(5),
] as const;

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

/**
 * One module of these functions; gives what it exports, and its length in bytes. Helpers that they are the first to call
 * become part of it, but not of a compiled region's, which has the table: they would keep it alive when it is forgotten.
 */
export function instantiate(
  linker: Linker,
  functions: readonly FunctionCode[],
  withTable = false,
): { exports: Record<string, WebAssembly.WasmFunction>; length: number } {
  const values: Record<string, WebAssembly.ImportValue> = { memory: linker.memory };
  if (withTable) values['table'] = linker.table;
  const table = withTable ? { tableSize: TABLE_SIZE } : {};
  const helpers: FunctionCode[] = [];
  const find: ModuleCode['find'] = (name) => {
    if (!linker.functions.has(name)) {
      const helper = helperCode(linker, name);
      if (!withTable) {
        helpers.push(helper);
        return { own: helper };
      }
      addHelpers(linker, [helper], instantiate(linker, [helper]).exports);
    }
    const found = linker.functions.get(name);
    if (found === undefined) throw new Error(`invariant broken: the helper ${name} was made`);
    values[name] = found.code;
    return { imported: found.type };
  };
  const bytes = moduleBytes({ memoryPages: linker.memoryPages, ...table, imports: [], find, functions });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: values });
  addHelpers(linker, helpers, exports);
  return { exports, length: bytes.length };
}

function addHelpers(
  linker: Linker,
  helpers: readonly FunctionCode[],
  exports: Record<string, WebAssembly.WasmFunction>,
): void {
  for (const { name, parameters, results } of helpers)
    linker.functions.set(name, { type: { name, parameters, results }, code: exportOf(exports, name) });
}

function exportOf(exports: Record<string, WebAssembly.WasmFunction>, name: string): WebAssembly.WasmFunction {
  const found = exports[name];
  if (found === undefined) throw new Error(`${name} was not exported`);
  return found;
}

function helperCode(linker: Linker, name: string): FunctionCode {
  const helper = linker.helpers.get(name);
  if (helper === undefined) throw new Error(`no helper ${name}`);
  const { parameters, result } = helper;
  const locals = functionLocals(parameters.length);
  const body = createBody(local.get(0), locals);
  const [a, b, c, d, g, h] = PARAMETERS;
  const value = helper.emit(body, a, b, c, d, g, h);
  const results = result === undefined ? [] : [result];
  return {
    name,
    parameters,
    results,
    locals: locals.types,
    body: [body.take(), value ?? []],
    exported: true,
  };
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
