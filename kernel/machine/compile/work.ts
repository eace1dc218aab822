// What the parts of function.ts share: a region's function in the making, and the small code that all of them write.

import type { Code, Label } from '../exec/wasm.ts';
import { i32, i64, local } from '../exec/wasm.ts';
import { CODE_DROPPED } from '../layout.ts';
import type { FlowGraph } from './graph.ts';
import type { AssumedRegister } from './loop-facts.ts';
import type { SlotLocals } from './memory.ts';
import type { Instruction, Region } from './region.ts';
import type { Front, Unit } from './unit.ts';
import { LOCAL } from './unit.ts';

/** What the compiler provides. */
export interface Services {
  /** May floating point be taken for granted (speculation.ts)? */
  readonly mayGuess: boolean;
  slotFor(name: string, write: boolean): number;
  /** The region's number. */
  readonly region: number;
  /** Index in the function table of the interpreter's handler. */
  handlerFor(instruction: Instruction): number;
  /** Puts the numbers of code addresses (from 1) into a table of bytes; undefined when there is no room. */
  caseTable(cases: readonly number[]): CaseTable | undefined;
}

export interface CaseTable {
  readonly address: number; // in the machine's memory
  readonly first: number; // the code address of its first byte
  readonly length: number;
}

/** An instruction that is being written, and what held in front of it. */
export interface Here extends Front {
  readonly instruction: Instruction;
  step: Code | undefined;
}

export interface Work {
  readonly region: Region;
  readonly graph: FlowGraph;
  readonly services: Services;
  readonly unit: Unit;
  readonly labels: Map<number, Label>; // of merges: behind the block
  readonly loops: Map<number, Label>;
  readonly leaveBare: Label;
  readonly leaveFlags: Label;
  readonly leaveRaw: Label;
  readonly stepBare: Label; // the same for exits in front of an instruction, by their numbers
  readonly stepRaw: Label;
  /** Numbers of the entries by their blocks. */
  readonly entries: ReadonlyMap<number, number>;
  readonly dispatch: Label;
  readonly call: Label; // flags are in the context
  readonly callFlags: Label; // flags are in their locals, as the interpreter has them
  /** Whether the region calls others. */
  calls: boolean;
  /** Whether flags are wanted in their locals from the start. */
  loadsFlags: boolean;
  /** Whether it must know that code was dropped since it began. */
  watchesDrops: boolean;
  /** Places outside to which it goes. */
  readonly exits: Set<number>;
  /** The instruction that is being written, and what held in front of it. */
  at: Here;
  emit: ((instruction: Instruction) => void) | undefined;
  /** While a stub is written: where the call comes back to. */
  stubBack: number | undefined;
  readonly longest: Map<number, number>;
  /** Pages that are in place wherever control comes from to a block, as bits of `badPages`. */
  readonly knownPages: ReadonlyMap<number, number>;
  /** What loops assume of vector registers, by their headers. */
  readonly assumed: ReadonlyMap<number, readonly AssumedRegister[]>;
  /** Slots that a loop keeps in locals, by its header; loaded in front of it. */
  readonly loopSlots: Map<number, { readonly locals: Map<number, SlotLocals>; readonly loads: Code[] }>;
  /** Code that is filled in when it is known which registers the region uses. */
  readonly stores: Code[][];
  readonly loads: Code[][];
}

export const remainingLocal = local.get(LOCAL.remaining);
export const spend = (count: number): Code =>
  count === 0 ? [] : local.set(LOCAL.remaining, i32.sub(remainingLocal, i32.const(count)));
export const addressOf = (at: number): Code => i64.add(local.get(LOCAL.base), i64.const(at));

/** Code was dropped since the region began, perhaps its own. */
export function wasDropped(work: Work): Code {
  work.watchesDrops = true;
  return i32.ne(i32.load(i32.const(0), CODE_DROPPED), local.get(LOCAL.drops));
}

/** Registers from the context; filled in when it is known which. */
export function reload(work: Work): Code {
  const loads: Code[] = [];
  work.loads.push(loads);
  return loads;
}
