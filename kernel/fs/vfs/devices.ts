// Who drives which device number. tty, ipc and others add their majors when they are loaded; opening a device node finds
// the name of its file operations here. Block devices all behave alike (block-file.ts).
import { majorOf, minorOf } from '../../abi/device.ts';
import type { Kernel } from '../../state.ts';
import type { BlockDevice } from '../../block/state.ts';

export interface CharDevice {
  /** As /proc/devices shows it. */
  readonly name: string;
  /** Name in fileOperations of what a minor does, undefined when there is none (ENXIO). */
  readonly operations: (minor: number) => string | undefined;
}

export const charDevices: Record<number, CharDevice> = {};

export function charOperations(device: number): string | undefined {
  return charDevices[majorOf(device)]?.operations(minorOf(device));
}

/** The disk of a device number. */
export function findBlockDevice(kernel: Kernel, device: number): BlockDevice | undefined {
  for (const disk of kernel.block.devices.values()) if (disk.device === device) return disk;
  return undefined;
}

/** /dev/ nodes to be made by devtmpfs: path below /dev, kind, number, mode. Folders add theirs when they are loaded. */
export interface DeviceNode {
  readonly path: string;
  readonly kind: 'char' | 'block';
  readonly device: number;
  readonly mode: number;
  readonly gid?: number;
}

/** By any key; called at each mount of devtmpfs. */
export const deviceNodes: Record<string, (kernel: Kernel) => readonly DeviceNode[]> = {};
