// Making a machine, and run(): the loop around the generated interpreter that serves what it leaves to TypeScript
// (decoding, execute TLB) and turns its exits into traps.

import type { Machine } from './cpu.ts';
import { contextOf } from './cpu.ts';
import { MODEL_FEATURES, instructionForCpu } from './cpuid.ts';
import { decodeRun, dropAllCode, dropCode, generationOf, newCodeCache, slotAddress, slotOf } from './decode/code-cache.ts'; // prettier-ignore
import type { CodeCache } from './decode/code-cache.ts';
import { fusedKey, variantKey } from './decode/variant.ts';
import { buildOpcodeMap } from './decode/opcode-map.ts';
import type { OpcodeMap } from './decode/opcode-map.ts';
import { commonHandlers } from './exec/common.ts';
import { HANDLER, coreModule } from './exec/core.ts';
import type { Linker } from './exec/handlers.ts';
import { finishHandlers, requestHandler } from './exec/handlers.ts';
import { FIRST_ENTRY, TABLE_SIZE } from './exec/signatures.ts';
import type { Compiler, CompilerSettings, CompilerStatistics } from './compile/compiler.ts';
import { clearExtents, clearJumps, countGuesses, dropAllRegions, forgetEntries, markHead, newCompiler } from './compile/compiler.ts'; // prettier-ignore
import { compileMet, takeSample } from './compile/samples.ts';
import type { HotEntry } from './exec/hot.ts';
import { hotHandlers } from './exec/hot.ts';
import { faultInstruction, families } from './isa/index.ts';
import {
  COMPILED,
  CONTEXT,
  EXIT,
  FCW_DEFAULT,
  JUMP_BASE,
  JUMP_BYTES,
  JUMP_ENTRIES,
  MXCSR_DEFAULT,
  RAM_BASE,
  SYSTEM,
  TLB_BYTES,
  TLB_ENTRIES,
} from './layout.ts';
import { NOT_CANONICAL } from './mmu/walk.ts';
import { vectorOfNotCanonical } from './stack-fault.ts';
import type { MachineConfig, Trap, TrapKind } from './machine.ts';
import { VECTOR } from './machine.ts';
import { newPortSpace, portFunctions } from './devices/ports.ts';
import { resetSystemState } from './system-state.ts';

const WASM_PAGE = 65536;
/** V8 replaces a running function by its optimised code only between calls, so none lasts long. */
const SLICE_MAX = 300_000;
/** Of RFLAGS. */
const TRAP_FLAG = 0x100;
const ALIGNMENT_CHECK = 0x4_0000;

export function createMachine(config: MachineConfig): Machine {
  const memoryPages = (RAM_BASE + config.memoryBytes) / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: memoryPages, maximum: memoryPages });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE, maximum: TABLE_SIZE });
  const bytes = new Uint8Array(memory.buffer);
  const map: OpcodeMap = buildOpcodeMap(instructionForCpu(config.cpuModel));
  const hot = hotHandlers(map);
  const core = coreModule(memoryPages, config.memoryBytes, TABLE_SIZE, hot);
  const holder: { cache: CodeCache | undefined; compiler: Compiler | undefined } = { cache: undefined, compiler: undefined }; // prettier-ignore
  const instance = new WebAssembly.Instance(new WebAssembly.Module(core.bytes), {
    m: {
      memory,
      table,
      dropCode: (frame: number) => {
        if (holder.cache !== undefined) dropCode(holder.cache, frame);
      },
    },
  });
  const exported = (name: string): WebAssembly.WasmFunction => {
    const found = instance.exports[name];
    if (found === undefined) throw new Error(`invariant broken: the core exports ${name}`);
    return found;
  };
  const ports = newPortSpace();
  const linker: Linker = {
    memory,
    memoryPages,
    table,
    helpers: new Map(
      families.flatMap((family) => family.helpers ?? []).map((helper) => [helper.name, helper]),
    ),
    functions: new Map([
      ...core.functions.map((type) => [type.name, { type, code: exported(type.name) }] as const),
      ...portFunctions(ports),
    ]),
    tableUsed: 1,
    requested: [],
  };
  const variant = { operandSize: 4, addressing: 'none', repeat: 'none', address32: false } as const;
  const faultHandler = (vector: number): number =>
    requestHandler(linker, { instruction: faultInstruction(vector), encoding: '', letters: [], operands: [], options: [] }, variant); // prettier-ignore
  const code = newCodeCache({
    map,
    linker,
    bytes,
    words16: new Uint16Array(memory.buffer),
    words32: new Int32Array(memory.buffer),
    cpuCount: config.cpuCount,
    hot: handlerNumbers(
      hot,
      (entry) => entry.condition === undefined,
      (key) => key,
    ),
    fused: handlerNumbers(
      hot,
      (entry) => entry.condition !== undefined,
      (key, entry) => fusedKey(key, entry.condition ?? 0),
    ),
    faults: {
      undefinedOpcode: faultHandler(VECTOR.invalidOpcode),
      tooLong: faultHandler(VECTOR.generalProtection),
    },
    onBlockHead(record) {
      if (holder.compiler !== undefined) markHead(holder.compiler, record);
    },
    onForget(slot) {
      if (holder.compiler !== undefined) forgetEntries(holder.compiler, slot);
    },
    onWriteProtect() {
      for (let cpu = 0; cpu < config.cpuCount; cpu++) clearExtents(bytes, code.words32, cpu);
    },
  });
  for (const { form, variant } of commonHandlers(map)) {
    const key = variantKey(form, variant);
    if (!code.hot.has(key) && !code.cold.has(key)) code.cold.set(key, requestHandler(linker, form, variant));
  }
  finishHandlers(linker);
  holder.cache = code;
  const compiler = newCompiler(code, linker);
  holder.compiler = compiler;
  const notCompiled = exported('notCompiled');
  compiler.notCompiled = notCompiled;
  for (let i = FIRST_ENTRY; i < TABLE_SIZE; i++) table.set(i, notCompiled);
  const walk: unknown = exported('walk');
  const machine: Machine = {
    config,
    trap: { kind: 'budget', vector: 0, errorCode: 0, address: 0, executed: 0, cpl: 3 },
    bytes,
    words16: code.words16,
    words32: code.words32,
    view: new DataView(memory.buffer),
    contexts: Array.from({ length: config.cpuCount }, (_unused, cpu) =>
      bytes.subarray(contextOf(cpu), contextOf(cpu) + CONTEXT.savedEnd),
    ),
    linker,
    code,
    compiler,
    ports,
    core: {
      run: exported('run'),
      walk: isWalk(walk) ? walk : () => 0,
      translate: exported('translate'),
      flagBits: exported('flagBits'),
      setFlagBits: exported('setFlagBits'),
    },
  };
  for (let cpu = 0; cpu < config.cpuCount; cpu++) resetCpu(machine, cpu);
  return machine;
}

/** Handler numbers in the run loop of those hot handlers that are wanted, by key. */
function handlerNumbers(
  hot: readonly HotEntry[],
  wanted: (entry: HotEntry) => boolean,
  keyOf: (key: number, entry: HotEntry) => number,
): Map<number, number> {
  // prettier-ignore
  const numbers = new Map<number, number>();
  hot.forEach((entry, i) => {
    if (wanted(entry)) for (const key of entry.keys) numbers.set(keyOf(key, entry), HANDLER.firstHot + i);
  });
  return numbers;
}

/** The one function with an i64 parameter: wasm takes a bigint there. */
function isWalk(value: unknown): value is Machine['core']['walk'] {
  return typeof value === 'function';
}

function resetCpu(machine: Machine, cpu: number): void {
  const context = contextOf(cpu);
  const { view } = machine;
  view.setUint16(context + CONTEXT.fcw, FCW_DEFAULT, true);
  view.setUint16(context + CONTEXT.ftw, 0xffff, true);
  view.setUint32(context + CONTEXT.mxcsr, MXCSR_DEFAULT, true);
  view.setUint32(context + CONTEXT.rflags, 0x202, true);
  view.setUint32(context + CONTEXT.page2, 8192, true);
  view.setUint32(context + CONTEXT.cpl, 3, true);
  resetSystemState(view, context, cpu, MODEL_FEATURES[machine.config.cpuModel]);
  takeSample(machine.compiler, context, false);
  view.setUint32(context + COMPILED.jumps, JUMP_BASE + cpu * JUMP_ENTRIES * JUMP_BYTES, true);
  machine.core.setFlagBits(context, 0);
  flushTlb(machine, cpu);
}

export function setPageTable(machine: Machine, cpu: number, rootPhysical: number): void {
  const at = contextOf(cpu) + CONTEXT.cr3;
  machine.view.setUint32(at, rootPhysical, true);
  machine.view.setUint32(at + 4, Math.floor(rootPhysical / 2 ** 32), true);
  flushTlb(machine, cpu);
}

export function flushTlb(machine: Machine, cpu: number): void {
  const first = contextOf(cpu) + CONTEXT.tlbRead;
  machine.bytes.fill(0xff, first, first + 3 * TLB_BYTES);
  clearJumps(machine.words32, cpu);
  clearExtents(machine.bytes, machine.words32, cpu);
}

export function invalidatePage(machine: Machine, cpu: number, address: number): void {
  const index = Math.floor(address / 4096) & (TLB_ENTRIES - 1);
  clearJumps(machine.words32, cpu);
  const first = (contextOf(cpu) + CONTEXT.tlbRead + index * 16) >> 2;
  for (let at = first; at < first + 3 * (TLB_BYTES >> 2); at += TLB_BYTES >> 2) {
    machine.words32[at] = -1;
    machine.words32[at + 1] = -1;
  }
  clearExtents(machine.bytes, machine.words32, cpu);
}

const ACCESS = { read: 0, write: 1, execute: 2 } as const;

/** Physical address for user mode, setting A and D as the CPU would, or -1. */
export function translate(
  machine: Machine,
  cpu: number,
  address: number,
  access: keyof typeof ACCESS,
): number {
  const high = Math.floor(address / 2 ** 32);
  const host = machine.core.translate(contextOf(cpu), address - high * 2 ** 32, high, ACCESS[access]) >>> 0;
  return host === 0 ? -1 : host - RAM_BASE;
}

/**
 * Switches the compiler tier, or sets how early it comes; a knob of the host that never changes a run. What was decoded
 * before is forgotten, so that all code is counted from the start.
 */
export function configureCompiler(machine: Machine, settings: Partial<CompilerSettings>): void {
  machine.compiler.settings = { ...machine.compiler.settings, ...settings };
  dropAllRegions(machine.compiler);
  dropAllCode(machine.code);
}

/** What the compiler has done so far. */
export function compilerStatistics(machine: Machine): Readonly<CompilerStatistics> {
  const { statistics } = machine.compiler;
  statistics.executed = 0;
  for (let cpu = 0; cpu < machine.config.cpuCount; cpu++) {
    const at = contextOf(cpu) + COMPILED.executed;
    statistics.executed += machine.view.getUint32(at, true) + machine.view.getUint32(at + 4, true) * 2 ** 32;
  }
  return statistics;
}

/** Drops everything that can be computed again; never changes a run. */
export function dropCaches(machine: Machine): void {
  dropAllCode(machine.code);
  for (let cpu = 0; cpu < machine.config.cpuCount; cpu++) flushTlb(machine, cpu);
}

export function setTsc(machine: Machine, cpu: number, value: number): void {
  const at = contextOf(cpu) + CONTEXT.tsc;
  machine.view.setUint32(at, value, true); // takes it modulo 2^32
  machine.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** Makes the page at `linear` executable for the loop; gives its slot, or 0 with the exception in the context. */
function fetchPage(machine: Machine, context: number, linear: bigint): number {
  const host = machine.core.walk(context, linear, ACCESS.execute) >>> 0;
  if (host === 0) return 0;
  const slot = slotOf(machine.code, (host - RAM_BASE) >>> 12);
  const entry = context + CONTEXT.tlbExecute + (Number((linear >> 12n) & BigInt(TLB_ENTRIES - 1)) << 4);
  machine.view.setBigInt64(entry, BigInt.asIntN(64, linear & -4096n), true);
  machine.view.setUint32(entry + 8, slotAddress(slot), true);
  return slot;
}

/** Decodes at RIP, with the next page's bytes if need be. False: exception in the context. */
function decodeAt(machine: Machine, context: number): boolean {
  const { view, code } = machine;
  const rip = view.getBigInt64(context + CONTEXT.rip, true);
  const slot = fetchPage(machine, context, rip);
  if (slot === 0) return false;
  const offset = Number(rip & 4095n);
  if (decodeRun(code, slot, offset, undefined) === 'ok') return true;
  const next = BigInt.asIntN(64, (rip | 4095n) + 1n);
  const nextSlot = fetchPage(machine, context, next);
  if (nextSlot === 0) return false;
  const host = machine.core.walk(context, next, ACCESS.execute) >>> 0;
  const here = fetchPage(machine, context, rip); // slotOf may have taken this page's slot for the next
  if (here === 0) return false;
  decodeRun(code, here, offset, {
    bytes: machine.bytes.slice(host, host + 16),
    generation: generationOf(code, nextSlot),
  });
  return true;
}

function leave(machine: Machine, context: number, kind: TrapKind, executed: number): Trap {
  const { trap, view } = machine;
  trap.kind = kind;
  trap.executed = executed;
  trap.cpl = view.getUint32(context + CONTEXT.cpl, true);
  if (kind !== 'exception') return trap;
  trap.vector = view.getUint32(context + CONTEXT.trapVector, true);
  if (trap.vector === NOT_CANONICAL) trap.vector = vectorOfNotCanonical(machine, context);
  trap.errorCode = view.getUint32(context + CONTEXT.trapError, true);
  const cr2 = context + CONTEXT.cr2;
  trap.address = view.getUint32(cr2, true) + view.getUint32(cr2 + 4, true) * 2 ** 32;
  return trap;
}

/** #DB behind an instruction that began with RFLAGS.TF; DR6.BS says why (SDM 3B 17.3.1.4). */
function singleStep(machine: Machine, context: number, executed: number): Trap {
  const { view } = machine;
  view.setUint32(context + CONTEXT.trapVector, VECTOR.debug, true);
  view.setUint32(context + CONTEXT.trapError, 0, true);
  const dr6 = context + SYSTEM.dr + 6 * 8;
  view.setUint32(dr6, view.getUint32(dr6, true) | 0x4000, true);
  return leave(machine, context, 'exception', executed);
}

/** Executes exactly so many instructions in user mode unless a trap comes first. */
export function run(machine: Machine, cpu: number, maxInstructions: number): Trap {
  const context = contextOf(cpu);
  const { view, core, compiler } = machine;
  const tscAt = context + CONTEXT.tsc;
  let executed = 0;
  // TLBs are not filled then (mmu/walk.ts); once, as code on two pages needs both in the execute TLB
  if ((view.getUint32(context + CONTEXT.rflags, true) & ALIGNMENT_CHECK) !== 0) flushTlb(machine, cpu);
  for (;;) {
    // Single step and alignment checks work from here, and cost nothing where they are off (POPF and IRET leave the loop)
    const special = view.getUint32(context + CONTEXT.rflags, true) & (TRAP_FLAG | ALIGNMENT_CHECK);
    const isStepping = (special & TRAP_FLAG) !== 0;
    const mayEnter = compiler.settings.enabled && special === 0 && view.getUint32(context + CONTEXT.cpl, true) === 3; // prettier-ignore
    view.setUint32(context + COMPILED.enabled, mayEnter ? 1 : 0, true);
    if (mayEnter && compiler.settings.threshold === 1) compileMet(compiler, context);
    const most = isStepping ? 1 : SLICE_MAX;
    const slice = Math.min(maxInstructions - executed, most);
    const exit = core.run(context, slice);
    const done = slice - view.getInt32(context + CONTEXT.remaining, true);
    executed += done;
    if (mayEnter) countGuesses(compiler, context, done);
    if (done !== 0) {
      const low = view.getUint32(tscAt, true) + done;
      view.setUint32(tscAt, low, true);
      if (low >= 2 ** 32) view.setUint32(tscAt + 4, view.getUint32(tscAt + 4, true) + 1, true);
    }
    if (isStepping && done === 1 && (exit === EXIT.budget || exit === EXIT.privilege))
      return singleStep(machine, context, executed);
    switch (exit) {
      case EXIT.budget:
        if (executed >= maxInstructions) return leave(machine, context, 'budget', executed);
        break;
      case EXIT.sample:
        takeSample(compiler, context, mayEnter);
        break;
      case EXIT.fetch:
        if (fetchPage(machine, context, view.getBigInt64(context + CONTEXT.rip, true)) === 0)
          return leave(machine, context, 'exception', executed);
        break;
      case EXIT.decode:
      case EXIT.cross:
        if (!decodeAt(machine, context)) return leave(machine, context, 'exception', executed);
        break;
      case EXIT.privilege:
        flushTlb(machine, cpu);
        if (executed >= maxInstructions) return leave(machine, context, 'budget', executed);
        break;
      case EXIT.syscall:
        return leave(machine, context, 'syscall', executed);
      case EXIT.halt:
        return leave(machine, context, 'halt', executed);
      default:
        return leave(machine, context, 'exception', executed);
    }
  }
}
