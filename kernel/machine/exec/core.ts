// The core module of a machine: MMU, flags, and run(), the interpreter loop over predecoded records. The most frequent
// handlers are emitted into the loop, where a br_table selects them by the record's handler number; the others are
// functions of their own in a table, generated when the decoder first meets them (handlers.ts).
//
// run(context, budget) executes until the budget is used up or something needs TypeScript, and returns an EXIT;
// context.rip and context.remaining are then exact.

import { CODE_INDEX_BYTES, COMPILED, CONTEXT, ENTRY, ENTRY_BASE, ENTRY_BYTES, ENTRY_HANDLER, EXIT, RECORD, SLOT, TLB_ENTRIES } from '../layout.ts'; // prettier-ignore
import { extentFunctions } from '../compile/extents.ts';
import { mmuFunctions, functionOf } from '../mmu/walk.ts';
import type { Locals } from './body.ts';
import type { FormCode, Variant } from './emit.ts';
import { emitHandler } from './emit.ts';
import { wideFunctions } from './wide.ts';
import { GENERAL_CONDITIONS, emitFlagBits, flagBitsBody } from './flags.ts';
import { FIRST_ENTRY, HANDLER_SIGNATURE, REGION_SIGNATURE } from './signatures.ts';
import type { Code, Label, Type } from './wasm.ts';
import {
  block,
  br,
  brTable,
  call,
  callIndirect,
  i32,
  i64,
  label,
  local,
  loop,
  ret,
  select,
  unlikely,
  when,
} from './wasm.ts';
import type { FunctionCode, FunctionImport } from './wasm-module.ts';
import { moduleBytes } from './wasm-module.ts';

/** Handler numbers of the loop that are no instructions; hot handlers follow. */
export const HANDLER = { lookup: 0, cold: 1, cross: 2, goto: 3, firstHot: 4 } as const;

export interface HotHandler {
  readonly form: FormCode;
  readonly variant: Variant;
  /** Fused with a branch of this condition code, whose record follows. */
  readonly condition?: number;
}

/** Locals that the handlers of the loop share: each handler starts over. */
function pooledLocals(firstIndex: number): Locals & { readonly types: Type[]; restart(): void } {
  const types: Type[] = [];
  const byType = new Map<Type, number[]>();
  const used = new Map<Type, number>();
  return {
    types,
    allocate(type) {
      const mine = byType.get(type) ?? [];
      byType.set(type, mine);
      const position = used.get(type) ?? 0;
      used.set(type, position + 1);
      const known = mine[position];
      if (known !== undefined) return known;
      const index = firstIndex + types.push(type) - 1;
      mine.push(index);
      return index;
    },
    restart: () => used.clear(),
  };
}

/** No address that a program can come to. */
const NOWHERE = 1n << 62n;

/**
 * interpret(context, remaining, stopAt, depth, steps) → EXIT: until the budget is used up, something needs TypeScript, or a
 * jump goes to `stopAt`, where compiled code waits that called it. With `steps` the first instruction is interpreted even
 * if compiled code begins there.
 *
 * `remaining` counts down to the end of the budget or to the next sample, whichever comes first: what the budget has
 * `beyond` that waits. Instructions of compiled code do not count for samples.
 */
function interpretFunction(hot: readonly HotHandler[]): FunctionCode {
  const [context, remaining, stopAt, depth, steps, record, status, entry, target, stepAt, beyond] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const; // prettier-ignore
  const fixedLocals: Type[] = ['i32', 'i32', 'i32', 'i64', 'i64', 'i32'];
  const locals = pooledLocals(11);
  const ctx = local.get(context);
  const rec = local.get(record);
  const leave = label('leave');
  const fault = label('fault');
  const lookup = label('lookup');
  const next = label('next');

  const exitWith = (code: Code): Code => [local.set(status, code), br(leave)];
  const exitAt = (address: Code, code: number): Code => [
    i64.store(ctx, address, CONTEXT.rip),
    exitWith(i32.const(code)),
  ];
  const recordAddress = i64.add(i64.load(ctx, CONTEXT.pageBase), i64.load16_u(rec, RECORD.offset));
  const left = i32.add(local.get(remaining), local.get(beyond));
  const sampleLeft = i32.load(ctx, COMPILED.sampleLeft);
  /** From a budget in `remaining`: what goes beyond the next sample is put aside. */
  const splitBudget: Code = [
    local.set(beyond, i32.sub(local.get(remaining), sampleLeft)),
    when(i32.lt_s(local.get(beyond), i32.const(0)), local.set(beyond, i32.const(0))),
    local.set(remaining, i32.sub(local.get(remaining), local.get(beyond))),
    i32.store(ctx, i32.sub(sampleLeft, local.get(remaining)), COMPILED.sampleLeft),
  ];
  /** What was not used of it comes back to the sample's. */
  const joinBudget: Code = [
    i32.store(ctx, i32.add(sampleLeft, local.get(remaining)), COMPILED.sampleLeft),
    local.set(remaining, left),
  ];
  const tookOver = (address: Code): Code => [
    i64.store(ctx, address, COMPILED.from),
    i32.store(ctx, left, COMPILED.fromLeft),
  ];
  const uncount = local.set(remaining, i32.add(local.get(remaining), i32.const(1)));
  const advance: Code = [local.set(record, i32.add(rec, i32.const(32))), br(next)];
  const executeEntry = (address: Code): Code =>
    i32.add(
      ctx,
      i32.shl(
        i32.and(i32.wrap_i64(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1)),
        i32.const(4),
      ),
    );

  // target → record
  const page = i64.and(local.get(target), i64.const(-4096));
  const findRecord: Code = [
    unlikely(i64.eq(local.get(target), local.get(stopAt)), exitAt(local.get(target), EXIT.returned)),
    local.set(entry, executeEntry(local.get(target))),
    unlikely(
      i64.ne(i64.load(local.get(entry), CONTEXT.tlbExecute), page),
      [
        local.set(entry, call('fetchCode', ctx, local.get(target))),
        unlikely(i32.eqz(local.get(entry)), exitAt(local.get(target), EXIT.fetch)),
      ],
      local.set(entry, i32.load(local.get(entry), CONTEXT.tlbExecute + 8)),
    ),
    local.set(
      record,
      i32.load16_u(
        i32.add(
          local.get(entry),
          i32.shl(i32.and(i32.wrap_i64(local.get(target)), i32.const(4095)), i32.const(1)),
        ),
      ),
    ),
    unlikely(i32.eqz(rec), exitAt(local.get(target), EXIT.decode)),
    i64.store(ctx, page, CONTEXT.pageBase),
    local.set(
      record,
      i32.add(i32.add(local.get(entry), i32.const(CODE_INDEX_BYTES)), i32.shl(rec, i32.const(5))),
    ),
  ];

  const bodies: Code[] = [];
  bodies[HANDLER.lookup] = [uncount, local.set(target, recordAddress), br(lookup)];
  /** The record's instruction as a function of the table. */
  const callHandler = (index: Code): Code => [
    i32.store(ctx, left, CONTEXT.remaining),
    local.set(status, callIndirect(HANDLER_SIGNATURE, index, ctx, rec)),
    when(i32.eqz(local.get(status)), advance),
    when(i32.eq(local.get(status), i32.const(EXIT.jump)), [
      local.set(target, i64.load(ctx, CONTEXT.rip)),
      br(lookup),
    ]),
    when(i32.eq(local.get(status), i32.const(EXIT.fault)), br(fault)),
    br(leave),
  ];
  bodies[HANDLER.cold] = callHandler(i32.load16_u(rec, RECORD.cold));
  // The next page must still be the one from which the following record was decoded
  const nextPage = i64.add(i64.load(ctx, CONTEXT.pageBase), i64.const(4096));
  const samePage = i32.eq(
    i32.load(i32.load(local.get(entry), CONTEXT.tlbExecute + 8), CODE_INDEX_BYTES + SLOT.generation),
    i32.load(rec, RECORD.immediate),
  );
  bodies[HANDLER.cross] = [
    uncount,
    local.set(entry, executeEntry(nextPage)),
    when(i64.eq(i64.load(local.get(entry), CONTEXT.tlbExecute), nextPage), when(samePage, advance)),
    exitAt(recordAddress, EXIT.cross),
  ];
  // The rest of a run that was cut, once it is decoded
  bodies[HANDLER.goto] = [
    uncount,
    local.set(entry, i32.load(rec, RECORD.link)),
    when(local.get(entry), [local.set(record, local.get(entry)), br(next)]),
    local.set(target, recordAddress),
    br(lookup),
  ];
  for (const { form, variant, condition } of hot) {
    locals.restart();
    const code = emitHandler(form, variant, ctx, rec, locals, {
      record,
      target,
      next,
      lookup,
      fault,
      ...(condition === undefined ? {} : { branch: { condition, remaining } }),
    });
    bodies.push([code, advance]);
  }

  /** Compiled code begins here. Behind a step, or where it may not run, a function does what the record says. */
  const enterCode = (): Code => {
    const before = i64.load(ctx, COMPILED.executed);
    const inside = i32.sub(local.get(remaining), i32.load(ctx, CONTEXT.remaining));
    const number = i32.sub(i32.load16_u(rec), i32.const(ENTRY_HANDLER));
    const cell = i32.mul(number, i32.const(ENTRY_BYTES));
    const index = i32.add(number, i32.const(FIRST_ENTRY));
    const base = i64.sub(i64.load(ctx, CONTEXT.pageBase), i64.load32_s(cell, ENTRY_BASE + ENTRY.delta));
    const deeper = i32.add(local.get(depth), i32.const(1));
    const which = i32.load(cell, ENTRY_BASE + ENTRY.number);
    return [
      when(i32.load(ctx, COMPILED.enabled), [
        when(i64.ne(local.get(stepAt), recordAddress), [
          uncount,
          joinBudget,
          i32.store(ctx, local.get(remaining), CONTEXT.remaining),
          i64.store(ctx, recordAddress, CONTEXT.rip),
          local.set(
            status,
            callIndirect(REGION_SIGNATURE, index, ctx, base, local.get(remaining), deeper, which),
          ),
          i64.store(ctx, i64.add(before, i64.extend_i32_u(inside)), COMPILED.executed),
          local.set(remaining, i32.load(ctx, CONTEXT.remaining)),
          local.set(target, i64.load(ctx, CONTEXT.rip)),
          // Anything else but a jump or step ended the run, perhaps in an interpreter called from there
          when(i32.ne(local.get(status), i32.const(EXIT.jump)), [
            when(i32.ne(local.get(status), i32.const(EXIT.step)), ret(local.get(status))),
            local.set(stepAt, local.get(target)),
          ]),
          splitBudget,
          tookOver(local.get(target)),
          br(lookup),
        ]),
      ]),
      local.set(stepAt, i64.const(-1)),
      callHandler(i32.load16_u(cell, ENTRY_BASE + ENTRY.cold)),
    ];
  };
  const enter = label('enter');
  const labels = bodies.map((_body, i): Label => label(`handler ${i}`));
  let dispatch: Code = brTable(i32.load16_u(rec), labels, enter);
  labels.forEach((at, i) => {
    dispatch = [block(at, dispatch), bodies[i] ?? []];
  });
  dispatch = [block(enter, dispatch), enterCode()];
  const step: Code = [
    unlikely(i32.eqz(local.get(remaining)), [
      i64.store(ctx, recordAddress, CONTEXT.rip),
      exitWith(select(local.get(beyond), i32.const(EXIT.sample), i32.const(EXIT.budget))),
    ]),
    local.set(remaining, i32.sub(local.get(remaining), i32.const(1))),
    dispatch,
  ];
  const body: Code = [
    local.set(target, i64.load(ctx, CONTEXT.rip)),
    local.set(stepAt, select(local.get(steps), local.get(target), i64.const(-1))),
    splitBudget,
    tookOver(local.get(target)),
    block(leave, [
      block(fault, [loop(lookup, [findRecord, loop(next, step)])]),
      uncount,
      i64.store(ctx, recordAddress, CONTEXT.rip),
      local.set(status, i32.const(EXIT.fault)),
    ]),
    i32.store(ctx, rec, CONTEXT.exitRecord),
    joinBudget,
    i32.store(ctx, local.get(remaining), CONTEXT.remaining),
    ret(local.get(status)),
    0x00, // unreachable
  ];
  return {
    name: 'interpret',
    parameters: ['i32', 'i32', 'i64', 'i32', 'i32'],
    results: ['i32'],
    locals: [...fixedLocals, ...locals.types],
    body,
    exported: true,
  };
}

export interface CoreModule {
  readonly bytes: Uint8Array;
  readonly functions: readonly FunctionImport[]; // what other modules may call
}

export function coreModule(
  memoryPages: number,
  memoryBytes: number,
  tableSize: number,
  hot: readonly HotHandler[],
): CoreModule {
  // prettier-ignore
  const services = [
    ...mmuFunctions(memoryBytes),
    ...wideFunctions(),
    ...extentFunctions(memoryBytes, FIRST_ENTRY),
    functionOf('flagBits', ['i32'], 'i32', (body) => flagBitsBody(body)),
    ...Object.entries(GENERAL_CONDITIONS).map(([name, fill]) => functionOf(name, ['i32'], 'i32', (body) => fill(body))),
    functionOf('setFlagBits', ['i32', 'i32'], undefined, (body, _context, word) => {
      emitFlagBits(body, word);
      return [];
    }),
  ];
  const imports: FunctionImport[] = [{ name: 'dropCode', parameters: ['i32'], results: [] }];
  const run = functionOf('run', ['i32', 'i32'], 'i32', (body, context, budget) => {
    body.emit(i32.store(context, budget, CONTEXT.budget));
    return call('interpret', context, budget, i64.const(NOWHERE), i32.const(0), i32.const(0));
  });
  // From compiled code, whose instructions are counted when it comes back: what is interpreted here is not among them
  const resume = functionOf(
    'resume',
    ['i32', 'i32', 'i64', 'i32', 'i32'],
    'i32',
    (body, context, remaining, stopAt, depth, steps) => {
      const status = body.let('i32', call('interpret', context, remaining, stopAt, depth, steps));
      const done = i64.extend_i32_u(i32.sub(remaining, i32.load(context, CONTEXT.remaining)));
      body.emit(i64.store(context, i64.sub(i64.load(context, COMPILED.executed), done), COMPILED.executed));
      return status;
    },
  );
  const shared = [...services, interpretFunction(hot), resume];
  const functions = [...shared, run];
  return { bytes: moduleBytes({ memoryPages, tableSize, imports, functions }), functions: shared };
}
