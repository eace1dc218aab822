// The door of the machine: physical memory, CPUs and their registers, page tables, run(). Plain functions that take the
// machine first; a CPU is named by its index.

export * from './machine.ts';
export type { Machine } from './cpu.ts';
export {
  copyPhysical, fillPhysical, load16, load32, load64, load64Big, load8, readBytes, store16, store32, store64, store64Big,
  store8, viewBytes, writeBytes,
} from './memory.ts'; // prettier-ignore
export {
  CONTEXT_BYTES, contextRegister, contextRegisterBig, loadContext, newContext, readRegister, readRegister32,
  readRegisterBig, readRegisterSigned, saveContext, setContextRegister, writeRegister, writeRegisterBig,
} from './registers.ts'; // prettier-ignore
export {
  FXSAVE_BYTES, initialXsave, isXsaveHeader, loadFxsave, loadXsave, machineComponents, saveFxsave, saveXsave, xsaveAreaBytes,
} from './fxsave.ts'; // prettier-ignore
export { FROZEN_CPU_BYTES, disassemble, freezeCpus, instructionCoverage, thawCpus } from './inspect.ts';
export type { CompilerSettings, CompilerStatistics } from './compile/compiler.ts';
export {
  compilerStatistics,
  configureCompiler,
  createMachine,
  dropCaches,
  flushTlb,
  invalidatePage,
  run,
  setPageTable,
  setTsc,
  translate,
} from './run.ts';
export { leavesOf } from './cpuid.ts';
export { setRandomSeed } from './random-seed.ts';
export { privilegeOf, takesInterrupts } from './system-state.ts';
export { connectPorts, type PortBytes, type PortDevice } from './devices/ports.ts';
export type { CpuidLeaf } from './isa/cpuid-leaves.ts';
