// The part of the emitter that knows no instructions: statements, locals, structured control, context fields. Helpers
// get this; handlers get it with operands, flags and exits on top (emit.ts).

import { CONTEXT } from '../layout.ts';
import type { ContextField, Emitter } from './emitter.ts';
import type { Code, Type } from './wasm.ts';
import { block, br, brIf, call, i32, i64, label, local, loop, unlikely, when } from './wasm.ts';

export interface Body extends Emitter {
  /** The statements so far. */
  take(): Code[];
}

/** Hands out local variables; a function's own, or those of a pool that handlers share. */
export interface Locals {
  allocate(type: Type): number;
}

/** Locals of a function with so many parameters; `types` grows. */
export function functionLocals(parameterCount: number): Locals & { readonly types: Type[] } {
  const types: Type[] = [];
  return { types, allocate: (type) => parameterCount + types.push(type) - 1 };
}

const WIDE_FIELDS: readonly ContextField[] = [
  'fip',
  'fdp',
  'fsBase',
  'gsBase',
  'rflags',
  'rip',
  'cr2',
  'cr3',
];
const NARROW_FIELDS: readonly ContextField[] = ['fcw', 'fsw', 'ftw', 'fop'];

export function createBody(context: Code, locals: Locals): Body {
  let statements: Code[] = [];
  const collect = (fill: () => void): Code[] => {
    const outer = statements;
    const inner: Code[] = [];
    statements = inner;
    fill();
    statements = outer;
    return inner;
  };
  const emit = (statement: Code): void => {
    statements.push(statement);
  };
  return {
    context,
    emit,
    take: () => statements,
    let(type, value) {
      const index = locals.allocate(type);
      emit(local.set(index, value));
      return local.get(index);
    },
    variable(type) {
      const index = locals.allocate(type);
      return { get: local.get(index), set: (value) => emit(local.set(index, value)) };
    },
    when(condition, then, otherwise) {
      const thenCode = collect(then);
      emit(when(condition, thenCode, otherwise === undefined ? undefined : collect(otherwise)));
    },
    unlikely(condition, then, otherwise) {
      const thenCode = collect(then);
      emit(unlikely(condition, thenCode, otherwise === undefined ? undefined : collect(otherwise)));
    },
    loop(body) {
      const out = label('leave');
      const top = label('again');
      const jumpTo = (to: typeof out) => (condition?: Code) =>
        emit(condition === undefined ? br(to) : brIf(condition, to));
      const code = collect(() => body(jumpTo(out), jumpTo(top)));
      emit(block(out, loop(top, [code, br(top)])));
    },
    call: (helper, ...values) => call(helper, ...values),
    get(field) {
      const offset = CONTEXT[field];
      if (WIDE_FIELDS.includes(field)) return i64.load(context, offset);
      return NARROW_FIELDS.includes(field) ? i32.load16_u(context, offset) : i32.load(context, offset);
    },
    set(field, value) {
      const offset = CONTEXT[field];
      if (WIDE_FIELDS.includes(field)) emit(i64.store(context, value, offset));
      else if (NARROW_FIELDS.includes(field)) emit(i32.store16(context, value, offset));
      else emit(i32.store(context, value, offset));
    },
  };
}
