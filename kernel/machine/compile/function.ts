// From a region to a wasm function (context, base, remaining, depth) → EXIT. Control is structured along the dominator
// tree: a block with one predecessor is written where the branch to it is, and inherits what is known there; blocks where
// control meets begin with all registers at home.
//
// `remaining` counts instructions: paths subtract what they executed where they meet, loop or leave. It is tested at the
// entry, at loop headers and behind calls, each for the longest way to the next test; when it does not reach that far
// the interpreter finishes the slice, instruction by instruction. So the count is exact in both tiers.

import type { Code, Label } from '../exec/wasm.ts';
import {
  block,
  br,
  brIf,
  brTable,
  call,
  callIndirect,
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
import { HANDLER_SIGNATURE, REGION_SIGNATURE } from '../exec/signatures.ts';
import { CODE_DROPPED, COMPILED, CONTEXT, EXIT, TLB_ENTRIES } from '../layout.ts';
import type { Control } from './emit.ts';
import { Unsupported, emitInstruction, flagHome, flagSets, storeFlagWords } from './emit.ts';
import type { FlowGraph, FlowNode } from './graph.ts';
import { flowGraph } from './graph.ts';
import { flagWords, rawWords } from './flags.ts';
import type { Block, Instruction, Region, RegionPage } from './region.ts';
import { flowOf } from './region.ts';
import { loopFacts } from './loop-facts.ts';
import type { AssumedRegister } from './loop-facts.ts';
import { assume, assumedFacts, expect, isFull, loadConstants, settle } from './speculation.ts';
import { tierOf } from './tiers.ts';
import type { PathState, Unit, VectorHome } from './unit.ts';
import type { SlotLocals } from './memory.ts';
import { loadSlot } from './memory.ts';
import { FLAG_LOCALS, LOCAL, allocate, allocateFixed, collect, context, copyState, emit, evaluate, homeState, homeward, newUnit, setTogether, withinPath } from './unit.ts'; // prettier-ignore

/** Nested calls of compiled functions at most; beyond, the chain is unwound. */
const DEPTH_MAX = 200;

/** What the compiler provides. */
export interface Services {
  /** Number of its entry. */
  readonly entry: number;
  /** May floating point be taken for granted (speculation.ts)? */
  readonly mayGuess: boolean;
  slotFor(name: string, write: boolean): number;
  /** Index in the function table of the interpreter's handler. */
  handlerFor(instruction: Instruction): number;
  /** Index in the function table of the region that begins there, if it is on a page of this region. */
  entryAt(at: number): number | undefined;
  /** Puts the numbers of code addresses (from 1) into a table of bytes; undefined when there is no room. */
  caseTable(cases: readonly number[]): CaseTable | undefined;
}

export interface CaseTable {
  readonly address: number; // in the machine's memory
  readonly first: number; // the code address of its first byte
  readonly length: number;
}

interface Work {
  readonly region: Region;
  readonly graph: FlowGraph;
  readonly services: Services;
  readonly unit: Unit;
  readonly labels: Map<number, Label>; // of merges: behind the block
  readonly loops: Map<number, Label>;
  readonly leaveBare: Label;
  readonly leaveFlags: Label;
  readonly leaveRaw: Label;
  readonly returns: ReadonlySet<number>; // blocks behind calls
  readonly longest: Map<number, number>;
  /** What loops assume of vector registers, by their headers. */
  readonly assumed: ReadonlyMap<number, readonly AssumedRegister[]>;
  /** Slots that a loop keeps in locals, by its header; loaded in front of it. */
  readonly loopSlots: Map<number, { readonly locals: Map<number, SlotLocals>; readonly loads: Code[] }>;
  /** Code that is filled in when it is known which registers the region uses. */
  readonly stores: Code[][];
  readonly loads: Code[][];
}

const remainingLocal = local.get(LOCAL.remaining);
const spend = (count: number): Code =>
  count === 0 ? [] : local.set(LOCAL.remaining, i32.sub(remainingLocal, i32.const(count)));
const addressOf = (at: number): Code => i64.add(local.get(LOCAL.base), i64.const(at));

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
  const all = (work.region.blocks.get(at)?.instructions.length ?? 0) + further;
  work.longest.set(at, all);
  return all;
} // prettier-ignore

const isTested = (work: Work, node: FlowNode): boolean => node.isLoopHeader || work.returns.has(node.at);

/** The exit of a path: registers and flags go home, then to the common end. */
function exitCode(work: Work, state: PathState, status: number, rip: Code): Code {
  const { unit } = work;
  const before = unit.state;
  unit.state = copyState(state);
  const code = collect(unit, () => {
    const { flags } = unit.state;
    const isHome = flags.kind === 'context' || flags.kind === 'locals';
    // Rare exits leave it to storeFlags to make the words what the interpreter wants
    const isRare = status === EXIT.step;
    const words = isHome ? [] : isRare ? rawWords(flags, flagHome(unit)) : flagWords(flags, flagHome(unit));
    emit(unit, setTogether([...homeward(unit), ...flagSets(words), [LOCAL.exitAt, rip]]));
    emit(unit, spend(state.executed));
    emit(unit, local.set(LOCAL.status, i32.const(status)));
    const isRaw = isRare || flags.kind === 'locals';
    emit(unit, br(flags.kind === 'context' ? work.leaveBare : isRaw ? work.leaveRaw : work.leaveFlags));
  });
  unit.state = before;
  return code;
}

/** All registers home, flags in their locals, the count up to date: before control meets. */
function goHome(work: Work, further: readonly (readonly [local: number, value: Code])[] = []): void {
  const { unit } = work;
  const { flags, executed } = unit.state;
  const words = flags.kind === 'locals' ? [] : rawWords(flags, flagHome(unit));
  const sets = [...homeward(unit), ...flagSets(words), ...further];
  if (sets.length > 0) emit(unit, setTogether(sets));
  emit(unit, spend(executed));
}

function flushPending(unit: Unit): void {
  const { pending } = unit;
  unit.pending = [];
  for (const write of pending) write();
}

/** Code was dropped since the region began, perhaps its own. */
const wasDropped = i32.ne(i32.load(i32.const(0), CODE_DROPPED), local.get(LOCAL.drops));

/** The interpreter's handler executes the instruction: registers go to the context and come back. */
function emitCallout(work: Work, instruction: Instruction, start: PathState): void {
  const { unit, services } = work;
  const index = services.handlerFor(instruction);
  const pageDelta = Math.floor(instruction.at / 4096) * 4096;
  unit.state = copyState(start);
  toContext(work);
  emit(unit, i64.store(context, addressOf(pageDelta), CONTEXT.pageBase));
  emit(unit, i32.store(context, i32.sub(remainingLocal, i32.const(start.executed + 1)), CONTEXT.remaining));
  const status = allocate(unit, 'i32');
  emit(unit, local.set(status, callIndirect(HANDLER_SIGNATURE, i32.const(index), context, i32.const(instruction.record))));
  // A fault: everything is as it was, so the interpreter meets it again; and a repeated one that goes on later, counted
  const home = homeState(unit, { kind: 'context' });
  home.executed = start.executed;
  const counted = copyState(home);
  counted.executed++;
  const again = (state: PathState): Code => exitCode(work, state, EXIT.step, addressOf(instruction.at));
  const isCounted = i32.eq(local.get(status), i32.const(EXIT.jump));
  emit(unit, unlikely(local.get(status), [reload(work), when(isCounted, again(counted)), again(home)]));
  emit(unit, reload(work));
  home.executed++;
  unit.state = home;
  // All the way out: a caller may be among what was dropped
  const behind = instruction.at + instruction.length;
  emit(unit, unlikely(wasDropped, exitCode(work, home, EXIT.step, addressOf(behind))));
} // prettier-ignore

/** Registers and flags to the context, from where others take them. */
function toContext(work: Work): void {
  const { unit } = work;
  const { flags } = unit.state;
  const sets = homeward(unit);
  if (flags.kind === 'locals') emit(unit, call('storeFlags', context, ...FLAG_LOCALS));
  else if (flags.kind !== 'context') storeFlagWords(unit, flagWords(flags, flagHome(unit)));
  if (sets.length > 0) emit(unit, setTogether(sets));
  const stores: Code[] = [];
  work.stores.push(stores);
  emit(unit, stores);
}

function reload(work: Work): Code {
  const loads: Code[] = [];
  work.loads.push(loads);
  return loads;
}

/** A call of a function that is not part of the region: of its compiled code, if there is some, as a wasm call. */
function emitCall(work: Work, target: Code, at: number | undefined, back: number): void {
  const { unit, services } = work;
  const { executed } = unit.state;
  const isPlain = work.graph.get(unit.block)?.successors.has(back) !== true;
  const jump = exitCode(work, unit.state, EXIT.jump, target);
  if (isPlain) {
    emit(unit, jump);
    unit.state.ended = true;
    return;
  }
  emit(unit, unlikely(i32.ge_u(local.get(LOCAL.depth), i32.const(DEPTH_MAX)), jump));
  toContext(work);
  emit(unit, i64.store(context, target, CONTEXT.rip));
  const left = i32.sub(remainingLocal, i32.const(executed));
  emit(unit, i32.store(context, left, CONTEXT.remaining));
  const deeper = i32.add(local.get(LOCAL.depth), i32.const(1));
  const index = at === undefined ? undefined : services.entryAt(at);
  const pageOf = (offset: number): Code => addressOf(Math.floor(offset / 4096) * 4096);
  const status =
    index === undefined || at === undefined
      ? call('enterAt', context, target, left, deeper)
      : callIndirect(REGION_SIGNATURE, i32.const(index), context, pageOf(at), left, deeper);
  emit(unit, local.set(LOCAL.status, status));
  const gone = local.get(LOCAL.status);
  const returned = i32.and(
    i32.eq(gone, i32.const(EXIT.jump)),
    i64.eq(i64.load(context, CONTEXT.rip), addressOf(back)),
  );
  const isStep = i32.eq(gone, i32.const(EXIT.step));
  const leftThere = i32.load(context, CONTEXT.remaining);
  // The function goes on in code that is not compiled: the interpreter takes it back to here
  const interpreted = [
    unlikely(i32.eqz(i32.or(i32.eq(gone, i32.const(EXIT.jump)), isStep)), ret(gone)),
    local.set(LOCAL.status, call('resume', context, leftThere, addressOf(back), deeper, isStep)),
    unlikely(i32.ne(gone, i32.const(EXIT.returned)), ret(gone)),
  ];
  emit(unit, unlikely(i32.eqz(returned), interpreted));
  emit(unit, unlikely(wasDropped, ret(i32.const(EXIT.step))));
  emit(unit, local.set(LOCAL.remaining, i32.load(context, CONTEXT.remaining)));
  emit(unit, reload(work));
  unit.state = homeState(unit, { kind: 'context' });
  goTo(work, back);
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
  emit(unit, exitCode(work, unit.state, EXIT.jump, address));
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
  if (target === undefined || node === undefined) {
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

function settleGuess(work: Work): void {
  settle(work.unit, ({ start, at }) => [
    i32.store(context, i32.const(work.services.entry), COMPILED.wrongGuess),
    i32.store(
      context,
      i32.add(i32.load(context, COMPILED.wrongGuesses), i32.const(1)),
      COMPILED.wrongGuesses,
    ),
    exitCode(work, start, EXIT.step, addressOf(at)),
  ]);
}

/** A block and all that it dominates. */
function emitTree(work: Work, node: FlowNode): void {
  const { unit } = work;
  if (node.isLoopHeader) {
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
  let code: Code = collect(unit, () => emitBlock(work, node));
  for (const merge of merges) {
    const at = work.labels.get(merge.at) ?? label('');
    const tree = collect(unit, () =>
      withinPath(unit, () => {
        unit.state = homeState(unit, { kind: 'locals' });
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
  const pages = pagesOf(content) & ~unit.state.pages;
  if (pages !== 0) {
    const isBad = i32.and(local.get(LOCAL.badPages), i32.const(pages));
    emit(unit, unlikely(isBad, exitCode(work, unit.state, EXIT.jump, addressOf(node.at))));
    unit.state.pages |= pages;
  }
  if (isTested(work, node)) {
    const short = i32.lt_s(remainingLocal, i32.const(longestFrom(work, node.at) + unit.state.executed));
    emit(unit, unlikely(short, exitCode(work, unit.state, EXIT.jump, addressOf(node.at))));
  }
  for (const instruction of content.instructions) {
    emitOne(work, instruction);
    if (unit.state.ended) break;
  }
  settleGuess(work);
  if (!unit.state.ended && content.next !== undefined) goTo(work, content.next);
  flushPending(unit);
}

function emitOne(work: Work, instruction: Instruction): void {
  const { unit } = work;
  const flow = flowOf(instruction);
  const tier = tierOf(instruction.entry.instruction);
  if (flow !== 'falls' || tier === 'handler' || isFull(unit)) settleGuess(work);
  // Groups are not needed to leave, and a rolled back instruction can do without
  const start = { ...unit.state, gpr: [...unit.state.gpr], xmm: [...unit.state.xmm], groups: new Map() };
  let cached: Code | undefined;
  const stepCode = (): Code => {
    // What was taken for granted is not checked yet
    if (unit.guess !== undefined)
      return exitCode(work, unit.guess.start, EXIT.step, addressOf(unit.guess.at));
    return (cached ??= exitCode(work, start, EXIT.step, addressOf(instruction.at)));
  };
  if (flow === 'leaves') {
    emit(unit, stepCode());
    unit.state.ended = true;
    return;
  }
  if (tier === 'handler') {
    if (flow === 'falls') return emitCallout(work, instruction, start);
    emit(unit, stepCode());
    unit.state.ended = true;
    return;
  }
  const back = instruction.at + instruction.length;
  const control: Control = {
    slotFor: work.services.slotFor,
    localsFor: (slot, loopAt) => slotLocals(work, slot, loopAt),
    stepCode,
    expect: (expectation) => work.services.mayGuess && expect(unit, start, instruction.at, expectation),
    settle: () => settleGuess(work),
    branchTo(at) {
      if (flow === 'call' && work.region.blocks.get(unit.block)?.callee !== at)
        emitCall(work, addressOf(at), at, back);
      else goTo(work, at);
    },
    jumpTo(address) {
      // Evaluated now: registers are about to go home, and the expression may read their homes
      if (instruction.entry.instruction.mnemonic === 'call')
        return emitCall(work, evaluate(unit, 'i64', address), undefined, back);
      if (instruction.entry.instruction.mnemonic === 'ret')
        return emitReturn(work, evaluate(unit, 'i64', address));
      emitSwitch(work, address, work.region.blocks.get(unit.block)?.cases ?? []);
    },
  };
  const { statements, nesting, guess } = unit;
  const pending = unit.pending.length;
  const length = statements.length;
  unit.state.executed++;
  try {
    emitInstruction(unit, instruction, control);
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    unit.statements = statements;
    statements.length = length;
    unit.pending.length = pending;
    unit.nesting = nesting;
    unit.state = copyState(start);
    unit.guess = guess;
    settleGuess(work);
    if (flow === 'falls') return emitCallout(work, instruction, start);
    emit(unit, stepCode());
    unit.state.ended = true;
  }
}

/**
 * Notes in `badPages` whether a further page of the region is where it was; blocks on it look there. (A page that the
 * process has not executed yet keeps its blocks from running, not the whole region.)
 */
function pageCheck(page: RegionPage, bit: number): Code {
  const address = addressOf(page.delta);
  const index = i32.and(i32.wrap_i64(i64.shr_u(address, i64.const(12))), i32.const(TLB_ENTRIES - 1));
  const entry = local.tee(LOCAL.status, i32.add(context, i32.shl(index, i32.const(4))));
  const isOther = i32.or(
    i64.ne(i64.load(entry, CONTEXT.tlbExecute), address),
    i32.ne(i32.load(local.get(LOCAL.status), CONTEXT.tlbExecute + 8), i32.const(page.slot)),
  );
  const isBad = i32.eqz(call('codePage', context, address, i32.const(page.slot)));
  const note = local.set(LOCAL.badPages, i32.or(local.get(LOCAL.badPages), i32.shl(isBad, i32.const(bit))));
  return unlikely(isOther, note);
}

/** Pages of a block, the entry's apart, as bits of `badPages`. */
function pagesOf(content: Block): number {
  let bits = 0;
  for (const { at, length } of content.instructions)
    for (const byte of [at, at + length - 1]) {
      const delta = Math.floor(byte / 4096) * 4096;
      if (delta !== 0) bits |= 1 << (delta > 0 ? 0 : 1);
    }
  return bits;
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
  /** Instructions that a run must be allowed for it to begin. */
  readonly longest: number;
}

export function compileRegion(region: Region, name: string, services: Services): CompiledRegion {
  const graph = flowGraph(region);
  const returns = new Set<number>();
  for (const content of region.blocks.values()) {
    const last = content.instructions.at(-1);
    const isCall = last?.entry.instruction.mnemonic === 'call' && content.callee === undefined;
    if (isCall && content.next !== undefined) returns.add(content.next);
  }
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
    returns,
    longest: new Map(),
    assumed: services.mayGuess ? loopFacts(region, graph) : new Map(),
    loopSlots: new Map(),
    stores: [],
    loads: [],
  };
  const entry = graph.get(region.entry);
  if (entry === undefined) throw new Error('invariant broken: the entry is a block');
  const tree = collect(unit, () => emitTree(work, entry));
  flushPending(unit);
  const longest = longestFrom(work, region.entry);
  const refuse = ret(i32.const(EXIT.step));
  const atEnd: Code[] = [];
  work.stores.push(atEnd);
  const prologue: Code[] = [unlikely(i32.lt_s(remainingLocal, i32.const(longest)), refuse)];
  for (const page of region.pages.values())
    if (page.delta !== 0) prologue.push(pageCheck(page, page.delta > 0 ? 0 : 1));
  prologue.push(local.set(LOCAL.drops, i32.load(i32.const(0), CODE_DROPPED)));
  prologue.push(reload(work), loadConstants(unit));
  const flags = collect(unit, () => storeFlagWords(unit, FLAG_LOCALS));
  fillRegisters(work);
  const body: Code = [
    prologue,
    block(work.leaveBare, [
      block(work.leaveFlags, [
        block(work.leaveRaw, [tree, 0x00]),
        call('storeFlags', context, ...FLAG_LOCALS),
        br(work.leaveBare),
      ]),
      flags,
    ]),
    atEnd,
    i64.store(context, local.get(LOCAL.exitAt), CONTEXT.rip),
    i32.store(context, remainingLocal, CONTEXT.remaining),
    unlikely(i32.eq(local.get(LOCAL.status), i32.const(EXIT.step)), ret(local.get(LOCAL.status))),
    tailCall('enterAt', context, local.get(LOCAL.exitAt), remainingLocal, local.get(LOCAL.depth)),
  ];
  return { code: { ...REGION_SIGNATURE, name, locals: unit.types, body, exported: true }, longest };
}
