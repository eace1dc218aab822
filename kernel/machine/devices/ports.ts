// The I/O port space: which device answers at which ports. Devices are connected by name when a machine is put together;
// their state belongs to whoever connects them. As on a PC, a port that nobody has reads as ones and swallows writes.

import { CPU_BASE, CPU_STRIDE } from '../layout.ts';

export type PortBytes = 1 | 2 | 4;

export interface PortDevice {
  readonly name: string;
  readonly first: number;
  readonly count: number;
  /** `port` counts from the device's first one. An access lies within a device whole, or reaches none. */
  read(port: number, bytes: PortBytes, cpu: number): number;
  write(port: number, bytes: PortBytes, value: number, cpu: number): void;
}

/** Part of a machine, never frozen. */
export interface PortSpace {
  readonly devices: PortDevice[];
}
export const newPortSpace = (): PortSpace => ({ devices: [] });

const ONES = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;

/** False, and nothing changes, where it would overlap another device or leave the 65536 ports. */
export function connectPorts(space: PortSpace, device: PortDevice): boolean {
  const end = device.first + device.count;
  if (device.first < 0 || end > 0x1_0000 || device.count < 1) return false;
  if (space.devices.some((other) => device.first < other.first + other.count && other.first < end))
    return false;
  space.devices.push(device);
  return true;
}

const deviceAt = (space: PortSpace, port: number, bytes: number): PortDevice | undefined =>
  space.devices.find(({ first, count }) => port >= first && port + bytes <= first + count);
const bytesOf = (size: number): PortBytes => (size === 4 ? 4 : size === 2 ? 2 : 1);

export function readPort(space: PortSpace, cpu: number, port: number, size: number): number {
  const bytes = bytesOf(size);
  const device = deviceAt(space, port, bytes);
  return device === undefined ? ONES[bytes] : device.read(port - device.first, bytes, cpu);
}

export function writePort(space: PortSpace, cpu: number, port: number, size: number, value: number): void {
  const bytes = bytesOf(size);
  const device = deviceAt(space, port, bytes);
  device?.write(port - device.first, bytes, (value & ONES[bytes]) >>> 0, cpu);
}

/** A function of ours that generated code imports. */
interface HostFunction {
  readonly type: {
    readonly name: string;
    readonly parameters: readonly 'i32'[];
    readonly results: readonly 'i32'[];
  };
  readonly code: (...values: number[]) => number;
}

/** What handlers call: portRead(context, port, bytes) and portWrite(context, port, bytes, value). */
export function portFunctions(space: PortSpace): [string, HostFunction][] {
  const cpuOf = (context: number): number => (context - CPU_BASE) / CPU_STRIDE;
  const hostFunction = (
    name: string,
    parameterCount: number,
    results: readonly 'i32'[],
    code: HostFunction['code'],
  ): [string, HostFunction] => {
    const parameters = Array.from({ length: parameterCount }, () => 'i32' as const);
    return [name, { type: { name, parameters, results }, code }];
  };
  return [
    hostFunction('portRead', 3, ['i32'], (context = 0, port = 0, bytes = 1) =>
      readPort(space, cpuOf(context), port, bytes),
    ),
    hostFunction('portWrite', 4, [], (context = 0, port = 0, bytes = 1, value = 0) => {
      writePort(space, cpuOf(context), port, bytes, value);
      return 0;
    }),
  ];
}
