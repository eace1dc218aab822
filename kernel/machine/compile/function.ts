// From a region to a wasm function (context, base, remaining, depth, entry) → EXIT. Control is structured along the
// dominator tree: a block with one predecessor is written where the branch to it is, and inherits what is known there; blocks
// where control meets begin with all registers at home. The function, from the outside in:
//
//     loop reload      registers and flags are loaded
//       block call
//         loop dispatch    br_table to the block of the entry
//           the blocks     they branch to each other, to `dispatch`, to `call`, or leave
//       a function that is not in the region is called, once for all of the region's calls: registers go to the
//       context, and when it has come back, the block behind the call is the next entry
//
// `remaining` counts instructions: paths subtract what they executed where they meet, loop or leave. It is tested at
// entries and loop headers, each for the longest way to the next test; when it does not reach that far the interpreter
// finishes the slice, instruction by instruction. So the count is exact in both tiers.

import type { Code, Label } from '../exec/wasm.ts';
import {
  block,
  br,
  brIf,
  brTable,
  call,
  i32,
  i64,
  label,
  local,
  loop,
  ret,
  tailCall,
  unlikely,
  when,
} from '../exec/wasm.ts';
import { f32, f64 } from '../exec/wasm.ts';
import { v128 } from '../exec/wasm-simd.ts';
import type { FunctionCode } from '../exec/wasm-module.ts';
import { REGION_SIGNATURE } from '../exec/signatures.ts';
import { CODE_DROPPED, COMPILED, CONTEXT, EXIT } from '../layout.ts';
import type { Control } from './emit.ts';
import { Unsupported, instructionEmitter, storeFlagWords } from './emit.ts';
import type { FlowNode } from './graph.ts';
import { DISPATCHER, flowGraph } from './graph.ts';
import { callCode, emitCall, emitCallout } from './calls.ts';
import { exitCode, goHome, stepCode, stepExit } from './exits.ts';
import { knownPages, pageCheck, pagesOf, stubOf } from './pages.ts';
import type { Here, Services, Work } from './work.ts';
import { addressOf, reload, remainingLocal } from './work.ts';
import type { Instruction, Region } from './region.ts';
import { flowOf } from './region.ts';
import { loopFacts } from './loop-facts.ts';
import type { AssumedRegister } from './loop-facts.ts';
import { assume, assumedFacts, checkGuess, expect, isFull, loadConstants } from './speculation.ts';
import { tierOf } from './tiers.ts';
import type { Unit, VectorHome } from './unit.ts';
import type { SlotLocals } from './memory.ts';
import { loadSlot } from './memory.ts';
import { FLAG_LOCALS, LOCAL, allocateFixed, collect, context, copyState, emit, evaluate, homeState, newUnit, settle, withinPath } from './unit.ts'; // prettier-ignore

const COPY = /^mov(?:ap[sd]|dqa)$/;
function vectorHomesOf(region: Region): VectorHome[] {
  const votes = Array.from({ length: 16 }, () => ({ f64: 0, f32: 0, whole: 0 }));
  const copies: (readonly [number, number])[] = [];
  for (const { instructions } of region.blocks.values())
    for (const { entry, decoded, variant } of instructions) {
      if (COPY.test(entry.instruction.mnemonic) && variant.addressing === 'none') {
        copies.push([(decoded.reg - CONTEXT.xmm) >> 4, (decoded.rm - CONTEXT.xmm) >> 4]);
        continue;
      }
      for (const operand of entry.operands) {
        if (operand.register !== 'xmm') continue;
        const offset = operand.field === 'reg' ? decoded.reg : decoded.rm;
        const vote = votes[(offset - CONTEXT.xmm) >> 4];
        if (vote === undefined) continue;
        if (operand.size === 8) vote.f64 += 2;
        else if (operand.size === 4) vote.f32 += 2;
        else vote.whole++;
      }
    }
  // Copies go either way: a register that is only copied is kept as the other one
  for (const [a, b] of copies)
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const [other, mine] = [votes[from], votes[to]];
      if (other !== undefined && mine !== undefined && mine.f64 + mine.f32 + mine.whole === 0)
        votes[to] = { ...other };
    }
  return votes.map(({ f64: doubles, f32: singles, whole }) =>
    doubles > whole && doubles >= singles ? 'f64' : singles > whole ? 'f32' : 'whole',
  );
}

/** Instructions on the longest way from a block to the next test of the budget. */
function longestFrom(work: Work, at: number): number {
  const known = work.longest.get(at);
  if (known !== undefined) return known;
  const node = work.graph.get(at);
  let further = 0;
  for (const to of node?.successors ?? []) {
    const target = work.graph.get(to);
    if (target === undefined || node === undefined || target.order <= node.order || isTested(work, target)) continue;
    further = Math.max(further, longestFrom(work, to));
  }
  const content = work.region.blocks.get(at);
  const stub = content === undefined ? [] : stubOf(work.region, content);
  const all = (content?.instructions.length ?? 0) + stub.length + further;
  work.longest.set(at, all);
  return all;
} // prettier-ignore

const isTested = (work: Work, node: FlowNode): boolean => node.isLoopHeader || work.entries.has(node.at);

function flushPending(unit: Unit): void {
  const { pending } = unit;
  unit.pending = [];
  for (const write of pending) write();
}

/** A return goes to the calls of the region, or to where the region was called from. */
function emitReturn(work: Work, address: Code): void {
  const { unit } = work;
  for (const back of work.region.blocks.get(unit.block)?.cases ?? []) {
    const before = copyState(unit.state);
    const code = collect(unit, () => goTo(work, back));
    unit.state = before;
    emit(unit, when(i64.eq(address, addressOf(back)), code));
  }
  // Who called waits for it, so it does not go on at once
  emit(unit, exitCode(work, unit.state, EXIT.returned, address));
  unit.state.ended = true;
}

/** A switch: the targets that the region has by a table of their numbers, the others leave. */
function emitSwitch(work: Work, address: Code, cases: readonly number[]): void {
  const { unit } = work;
  const node = work.graph.get(unit.block);
  const labels = new Map<number, Label>();
  for (const at of cases) {
    const target = node?.successors.has(at) === true ? work.graph.get(at) : undefined;
    if (node === undefined || target === undefined) continue;
    const isBack = target.order <= node.order;
    const to = isBack ? work.loops.get(at) : work.labels.get(at);
    if (to !== undefined && !(isBack && work.assumed.has(at))) labels.set(at, to);
  }
  const known = [...labels.keys()];
  const table = known.length === 0 ? undefined : work.services.caseTable(known);
  if (table === undefined) {
    emit(unit, exitCode(work, unit.state, EXIT.jump, address));
  } else {
    goHome(work, [[LOCAL.exitAt, address]]);
    const other = label('other');
    const distance = i64.sub(local.get(LOCAL.exitAt), addressOf(table.first));
    const number = i32.load8_u(i32.wrap_i64(distance), table.address);
    emit(
      unit,
      block(other, [
        brIf(i64.ge_u(distance, i64.const(table.length)), other),
        brTable(number, [other, ...labels.values()], other),
      ]),
    );
    unit.state = homeState(unit, { kind: 'locals' });
    emit(unit, exitCode(work, unit.state, EXIT.jump, local.get(LOCAL.exitAt)));
  }
  unit.state.ended = true;
}

/** Control goes to a block of the region, or leaves it. */
function goTo(work: Work, to: number): void {
  const { unit } = work;
  const node = work.graph.get(unit.block);
  const target = node?.successors.has(to) === true ? work.graph.get(to) : undefined;
  const entry = work.entries.get(to);
  if (target === undefined && entry !== undefined) {
    goHome(work, [[LOCAL.entry, i32.const(entry)]]);
    emit(unit, br(work.dispatch));
  } else if (target === undefined || node === undefined) {
    work.exits.add(to);
    emit(unit, exitCode(work, unit.state, EXIT.jump, addressOf(to)));
  } else if (target.order <= node.order || target.isMerge) {
    if (target.order <= node.order) assure(work, to);
    goHome(work);
    const known = target.order <= node.order ? work.loops.get(to) : work.labels.get(to);
    if (known === undefined) throw new Error('invariant broken: a branch to code that is not around it');
    emit(unit, br(known));
  } else {
    const { block: from, loop: inLoop, nesting, state } = unit;
    withinPath(unit, () => {
      unit.state = copyState(state);
      settle(unit);
      emitTree(work, target);
    });
    unit.block = from;
    unit.loop = inLoop;
    unit.nesting = nesting;
    unit.state = state;
  }
  unit.state.ended = true;
}

/** In front of a loop header: what the loop assumes is checked where it is not known. */
function assure(work: Work, at: number): readonly AssumedRegister[] | undefined {
  const assumed = work.assumed.get(at);
  if (assumed === undefined) return undefined;
  settleGuess(work);
  assume(work.unit, at, assumed);
  settleGuess(work);
  return assumed;
}

function slotLocals(work: Work, slot: number, loopAt: number): SlotLocals {
  const slots = work.loopSlots.get(loopAt);
  if (slots === undefined) throw new Error('invariant broken: a loop that has begun');
  let locals = slots.locals.get(slot);
  if (locals === undefined) {
    const { types } = work.unit;
    locals = {
      low: allocateFixed(types, 'i64'),
      limit64: allocateFixed(types, 'i64'),
      addend: allocateFixed(types, 'i32'),
    };
    slots.locals.set(slot, locals);
    slots.loads.push(loadSlot(slot, locals));
  }
  return locals;
}

function labelOf(work: Work, at: number): Label {
  const found = work.labels.get(at);
  if (found === undefined) throw new Error('invariant broken: control meets here');
  return found;
}

/** Checks what floating point was taken for granted; registers that waited for that go home. */
function settleGuess(work: Work): void {
  const { unit } = work;
  if (unit.guess === undefined) return;
  checkGuess(unit, ({ start }) => [
    i32.store(context, i32.const(work.services.region), COMPILED.wrongGuess),
    i32.store(
      context,
      i32.add(i32.load(context, COMPILED.wrongGuesses), i32.const(1)),
      COMPILED.wrongGuesses,
    ),
    stepExit(work, start),
  ]);
  settle(unit);
  // The exit in front of the instruction finds its registers there, and flags where they are now
  work.at = { ...work.at, flags: unit.state.flags, x87: unit.state.x87, step: undefined };
}

/** A block and all that it dominates. */
function emitTree(work: Work, node: FlowNode): void {
  const { unit } = work;
  const isDispatcher = node.at === DISPATCHER;
  if (node.isLoopHeader && !isDispatcher) {
    work.loadsFlags = true;
    const assumed = assure(work, node.at);
    goHome(work);
    unit.state = homeState(unit, { kind: 'locals' });
    if (assumed !== undefined) unit.state.float = assumedFacts(unit, assumed);
    work.loops.set(node.at, label('loop'));
    const loads: Code[] = [];
    work.loopSlots.set(node.at, { locals: new Map(), loads });
    emit(unit, loads);
  }
  const merges = node.children.flatMap((at) => {
    const child = work.graph.get(at);
    return child?.isMerge === true ? [child] : [];
  });
  for (const merge of merges) work.labels.set(merge.at, label('merge'));
  let code: Code = isDispatcher
    ? brTable(
        local.get(LOCAL.entry),
        [...work.entries.keys()].map((at) => labelOf(work, at)),
        work.leaveRaw,
      )
    : collect(unit, () => emitBlock(work, node));
  for (const merge of merges) {
    const at = labelOf(work, merge.at);
    const tree = collect(unit, () =>
      withinPath(unit, () => {
        // Flags that nobody has touched yet stay in the context
        if (!merge.isOnlyEntered) work.loadsFlags = true;
        unit.state = homeState(unit, { kind: merge.isOnlyEntered ? 'context' : 'locals' });
        emitTree(work, merge);
      }),
    );
    code = [block(at, code), tree];
  }
  const again = work.loops.get(node.at);
  emit(unit, node.isLoopHeader && again !== undefined ? loop(again, code) : code);
}

function emitBlock(work: Work, node: FlowNode): void {
  const { unit, region } = work;
  const content = region.blocks.get(node.at);
  if (content === undefined) throw new Error('invariant broken: a block of the region');
  flushPending(unit);
  unit.block = node.at;
  unit.loop = node.loop;
  unit.nesting = 0;
  const pages = pagesOf(region, content) & ~(work.knownPages.get(node.at) ?? 0);
  // An entry would be entered again and again
  const status = work.entries.has(node.at) ? EXIT.step : EXIT.jump;
  if (pages !== 0 && work.region.pages.size > 1) {
    const isBad = i32.and(local.get(LOCAL.badPages), i32.const(pages));
    emit(unit, unlikely(isBad, exitCode(work, unit.state, status, addressOf(node.at))));
  }
  if (isTested(work, node)) {
    const short = i32.lt_s(remainingLocal, i32.const(longestFrom(work, node.at) + unit.state.executed));
    emit(unit, unlikely(short, exitCode(work, unit.state, status, addressOf(node.at))));
  }
  for (const instruction of content.instructions) {
    emitOne(work, instruction);
    if (unit.state.ended) break;
  }
  settleGuess(work);
  if (!unit.state.ended && content.next !== undefined) goTo(work, content.next);
  flushPending(unit);
}

/** Instructions that write registers before memory, or have state of their own. */
const WRITES_FIRST = /^(?:push|pop|enter|leave|xchg|xadd|cmpxchg)/;

/** May an instruction be executed while floating point is still to be checked? */
function mayWait({ entry, variant }: Instruction): boolean {
  const [target] = entry.operands;
  if (entry.operands.some(({ register, kind }) => register === 'xmm' || kind === 'xmm')) return true;
  const isMemory = target?.kind === 'modrm' && variant.addressing !== 'none';
  const { mnemonic, feature } = entry.instruction;
  return !isMemory && feature !== 'x87' && !WRITES_FIRST.test(mnemonic);
}

/** The exit in front of the instruction that is being written. */
function stepCodeOf(work: Work): Code {
  const { at, unit } = work;
  // What was taken for granted is not checked yet
  if (unit.guess !== undefined) return stepExit(work, unit.guess.start);
  return (at.step ??= stepExit(work, at));
}

function controlOf(work: Work): Control {
  const { unit, services } = work;
  const now = (): Instruction => work.at.instruction;
  const mnemonic = (): string => now().entry.instruction.mnemonic;
  return {
    slotFor: services.slotFor,
    localsFor: (slot, loopAt) => slotLocals(work, slot, loopAt),
    stepCode: () => stepCodeOf(work),
    expect: (expectation) => services.mayGuess && expect(unit, work.at, expectation),
    settle: () => settleGuess(work),
    leaveCode: () => exitCode(work, unit.state, EXIT.jump, addressOf(now().at + now().length)),
    branchTo(at) {
      const isCall = mnemonic() === 'call';
      if (!isCall || work.region.blocks.get(unit.block)?.callee === at) return goTo(work, at);
      const stub = work.region.stubs.get(at);
      if (stub === undefined) return emitCall(work, addressOf(at), now().at + now().length);
      work.stubBack = now().at + now().length;
      settle(unit);
      for (const instruction of stub) emitOne(work, instruction);
      work.stubBack = undefined;
    },
    jumpTo(address) {
      // Evaluated now: registers are about to go home, and the expression may read their homes
      if (mnemonic() === 'call')
        return emitCall(work, evaluate(unit, 'i64', address), now().at + now().length);
      if (mnemonic() === 'ret') return emitReturn(work, evaluate(unit, 'i64', address));
      if (work.stubBack !== undefined) return emitCall(work, evaluate(unit, 'i64', address), work.stubBack);
      emitSwitch(work, address, work.region.blocks.get(unit.block)?.cases ?? []);
    },
  };
}

function emitOne(work: Work, instruction: Instruction): void {
  const { unit } = work;
  const flow = flowOf(instruction);
  const tier = tierOf(instruction.entry.instruction);
  if (flow !== 'falls' || tier === 'handler' || isFull(unit) || !mayWait(instruction)) settleGuess(work);
  const { flags, x87, executed } = unit.state;
  const here: Here = { instruction, at: instruction.at, flags, x87, executed, step: undefined };
  const leave = (): void => {
    emit(unit, stepExit(work, here));
    unit.state.ended = true;
  };
  if (flow === 'leaves') return leave();
  if (tier === 'handler') return flow === 'falls' ? emitCallout(work, instruction) : leave();
  const { statements, nesting, guess } = unit;
  const pending = unit.pending.length;
  const length = statements.length;
  const before = guess === undefined ? undefined : copyState(unit.state);
  const outer = work.at;
  unit.state.executed++;
  work.at = here;
  try {
    work.emit ??= instructionEmitter(unit, controlOf(work), instruction);
    work.emit(instruction);
    work.at = outer;
    if (!unit.state.ended) settle(unit);
  } catch (error) {
    work.at = outer;
    if (!(error instanceof Unsupported)) throw error;
    unit.statements = statements;
    statements.length = length;
    unit.pending.length = pending;
    unit.nesting = nesting;
    unit.guess = guess;
    unit.state = before ?? { ...homeState(unit, flags), x87, executed };
    settleGuess(work);
    if (flow === 'falls') return emitCallout(work, instruction);
    const { state } = unit;
    emit(unit, stepExit(work, { at: instruction.at, flags: state.flags, x87: state.x87, executed }));
    state.ended = true;
  }
}

function fillRegisters(work: Work): void {
  const { unit } = work;
  const gprs = new Set([...unit.usedGpr, ...unit.writtenGpr]);
  const xmms = new Set([...unit.usedXmm, ...unit.writtenXmm]);
  const loads: Code[] = [...gprs].map((i) =>
    local.set(LOCAL.gpr + i, i64.load(context, CONTEXT.gpr + i * 8)),
  );
  const stores: Code[] = [...unit.writtenGpr].map((i) => i64.store(context, local.get(LOCAL.gpr + i), CONTEXT.gpr + i * 8)); // prettier-ignore
  if (unit.usesFs) loads.push(local.set(LOCAL.fsBase, i64.load(context, CONTEXT.fsBase)));
  for (const i of xmms) {
    const at = CONTEXT.xmm + i * 16;
    const { whole, low } = unit.vectorLocals[i] ?? { whole: 0, low: 0 };
    const home = unit.vectorHomes[i];
    loads.push(local.set(whole, v128.load(context, at)));
    if (home === 'f64') loads.push(local.set(low, f64.load(context, at)));
    if (home === 'f32') loads.push(local.set(low, f32.load(context, at)));
    if (!unit.writtenXmm.has(i)) continue;
    stores.push(v128.store(context, local.get(whole), at));
    if (home === 'f64') stores.push(f64.store(context, local.get(low), at));
    if (home === 'f32') stores.push(f32.store(context, local.get(low), at));
  }
  for (const list of work.loads) list.push(...loads);
  for (const list of work.stores) list.push(...stores);
}

export interface CompiledRegion {
  readonly code: FunctionCode;
  /** Where control may come in, by the number of the entry. */
  readonly entries: readonly number[];
  /** Code outside to which it goes by branches. */
  readonly exits: Iterable<number>;
}

export function compileRegion(region: Region, name: string, services: Services): CompiledRegion {
  const { graph, entries } = flowGraph(region);
  const first = region.blocks.get(region.entry)?.instructions[0];
  if (first === undefined) throw new Error('invariant broken: the entry is a block');
  const unit = newUnit(vectorHomesOf(region));
  const work: Work = {
    region,
    graph,
    services,
    unit,
    labels: new Map(),
    loops: new Map(),
    leaveBare: label('leave'),
    leaveFlags: label('leave with flags'),
    leaveRaw: label('leave with raw flags'),
    stepBare: label('step'),
    stepRaw: label('step with raw flags'),
    entries: new Map(entries.map((at, i) => [at, i])),
    dispatch: label('dispatch'),
    call: label('call'),
    callFlags: label('call with flags'),
    calls: false,
    loadsFlags: false,
    watchesDrops: false,
    exits: new Set(),
    at: {
      instruction: first,
      at: first.at,
      flags: { kind: 'locals' },
      x87: undefined,
      executed: 0,
      step: undefined,
    },
    emit: undefined,
    stubBack: undefined,
    longest: new Map(),
    knownPages: knownPages(region, graph),
    assumed: services.mayGuess ? loopFacts(region, graph) : new Map(),
    loopSlots: new Map(),
    stores: [],
    loads: [],
  };
  const root = graph.get(DISPATCHER);
  if (root === undefined) throw new Error('invariant broken: the graph has a root');
  unit.state = homeState(unit, { kind: 'locals' });
  const tree = collect(unit, () => emitTree(work, root));
  flushPending(unit);
  const atEnd: Code[] = [];
  work.stores.push(atEnd);
  const prologue: Code[] = [];
  if (region.pages.size > 1) for (const page of region.pages.values()) prologue.push(pageCheck(page));
  const reloading = label('reload');
  const flagLoads = [
    local.set(LOCAL.flagKind, i32.load(context, CONTEXT.flagKind)),
    local.set(LOCAL.flagA, i64.load(context, CONTEXT.flagA)),
    local.set(LOCAL.flagB, i64.load(context, CONTEXT.flagB)),
    local.set(LOCAL.flagResult, i64.load(context, CONTEXT.flagResult)),
  ];
  const start = [work.loadsFlags ? flagLoads : [], reload(work)];
  const blocks = loop(work.dispatch, [tree, 0x00]);
  const flags = collect(unit, () => storeFlagWords(unit, FLAG_LOCALS));
  const inner = work.calls
    ? [block(work.call, [block(work.callFlags, blocks), flags]), callCode(work, reloading)]
    : blocks;
  prologue.push(loadConstants(unit));
  if (work.watchesDrops) prologue.push(local.set(LOCAL.drops, i32.load(i32.const(0), CODE_DROPPED)));
  fillRegisters(work);
  const { exitAt, status, depth } = LOCAL;
  const body: Code = [
    prologue,
    block(work.leaveBare, [
      block(work.leaveFlags, [
        block(work.leaveRaw, [
          block(work.stepBare, [
            block(work.stepRaw, [loop(reloading, [start, inner]), 0x00]),
            stepCode(),
            br(work.leaveRaw),
          ]),
          stepCode(),
          br(work.leaveBare),
        ]),
        call('storeFlags', context, ...FLAG_LOCALS),
        br(work.leaveBare),
      ]),
      flags,
    ]),
    atEnd,
    i64.store(context, local.get(exitAt), CONTEXT.rip),
    i32.store(context, remainingLocal, CONTEXT.remaining),
    when(i32.eq(local.get(status), i32.const(EXIT.returned)), ret(i32.const(EXIT.jump))),
    unlikely(i32.eq(local.get(status), i32.const(EXIT.step)), ret(i32.const(EXIT.step))),
    tailCall('enterAt', context, local.get(exitAt), remainingLocal, local.get(depth)),
  ];
  return {
    code: { ...REGION_SIGNATURE, name, locals: unit.types, body, exported: true },
    entries,
    exits: work.exits,
  };
}
