// Freezing: the kernel's state is checked to be plain data; RAM and CPU contexts come from the machine. The caller stores
// what it gets before it runs the machine again (nothing is copied here but CPU contexts).
import { assert } from './lib/assert.ts';
import {
  createMachine,
  freezeCpus,
  setPageTable,
  thawCpus,
  viewBytes,
  type Machine,
} from './machine/index.ts';
import { isFrameInUse } from './mm/statistics.ts';
import type { BootConfig, HostDoor, Kernel, KernelState } from './state.ts';

export interface FrozenMachine {
  readonly state: KernelState;
  readonly cpus: readonly Uint8Array[];
  /** All of guest RAM, a live view. */
  readonly ram: Uint8Array;
  /** Which frames hold anything that counts: bit n % 8 of byte n / 8. */
  readonly framesInUse: Uint8Array;
}

const HANDLES = new Set(['machine', 'door', 'cache', 'recorder']);

/** The whole machine as plain data; it must not run while the result is in use. Throws with the path to anything else. */
export function freeze(kernel: Kernel): FrozenMachine {
  const state: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(kernel)) if (!HANDLES.has(name)) state[name] = value;
  checkPlain(state);
  return {
    state: state as unknown as KernelState,
    cpus: freezeCpus(kernel.machine),
    ram: viewBytes(kernel.machine, 0, kernel.config.memoryBytes),
    framesInUse: framesInUse(kernel),
  };
}

function framesInUse(kernel: Kernel): Uint8Array {
  const { frameCount } = kernel.memory;
  const bits = new Uint8Array(Math.ceil(frameCount / 8));
  for (let frame = 0; frame < frameCount; frame++) {
    if (isFrameInUse(kernel, frame)) bits[frame >> 3] = (bits[frame >> 3] ?? 0) | (1 << (frame & 7));
  }
  return bits;
}

/** A new machine's hardware with its RAM open for filling: the first half of thawing. */
export function blankMachine(config: Pick<BootConfig, 'cpuCount' | 'memoryBytes' | 'cpuModel'>): {
  machine: Machine;
  ram: Uint8Array;
} {
  const machine = createMachine({
    cpuCount: config.cpuCount,
    memoryBytes: config.memoryBytes,
    cpuModel: config.cpuModel ?? 'v2',
  });
  return { machine, ram: viewBytes(machine, 0, config.memoryBytes) };
}

/** A machine that goes on where it was frozen: its hardware with RAM filled, CPU contexts, kernel state (taken over, not copied). */
export function thaw(
  machine: Machine,
  state: KernelState,
  cpus: readonly Uint8Array[],
  door: HostDoor,
): Kernel {
  thawCpus(machine, [...cpus]);
  const kernel: Kernel = { ...state, machine, door, recorder: { events: null, slices: null }, cache: {} };
  for (const queue of kernel.sched.runQueues) {
    const { loadedMm } = queue;
    if (loadedMm !== null) setPageTable(machine, queue.cpu, loadedMm.root);
  }
  return kernel;
}

/** Walks everything that is reachable and asserts that it is plain data. */
export function checkPlain(root: unknown): void {
  const seen = new Set<object>();
  const open: { value: unknown; path: string }[] = [{ value: root, path: 'kernel' }];
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const { value, path } = entry;
    if (value === null || value === undefined) continue;
    const type = typeof value;
    if (type === 'string' || type === 'number' || type === 'boolean' || type === 'bigint') continue;
    assert(type === 'object', `frozen state is plain data, but ${path} is a ${type}`);
    if (typeof value !== 'object' || seen.has(value)) continue;
    seen.add(value);
    if (ArrayBuffer.isView(value)) continue;
    if (Array.isArray(value))
      value.forEach((item, index) => open.push({ value: item, path: `${path}[${index}]` }));
    else if (value instanceof Map)
      for (const [key, item] of value)
        open.push({ value: key, path: `${path}<key>` }, { value: item, path: `${path}<${String(key)}>` });
    else if (value instanceof Set)
      for (const item of value) open.push({ value: item, path: `${path}<item>` });
    else {
      assert(
        Object.getPrototypeOf(value) === Object.prototype,
        `frozen state is plain data, but ${path} is of a class`,
      );
      for (const [key, item] of Object.entries(value)) open.push({ value: item, path: `${path}.${key}` });
    }
  }
}
