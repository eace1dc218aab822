// The host that measures: what it is, and how busy it was meanwhile.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

/** Path of a program on the PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

const firstLineOf = (program: string): string | null =>
  spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0] ?? null;

export interface HostFacts {
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly node: string;
  readonly gcc: string | null;
  readonly qemu: string | null;
  readonly startedAt: string;
}

export function hostFacts(): HostFacts {
  return {
    cpuModel: cpus()[0]?.model ?? 'unknown',
    cpuCount: cpus().length,
    node: `${process.version} (V8 ${process.versions.v8})`,
    gcc: firstLineOf('gcc'),
    qemu: firstLineOf('qemu-x86_64'),
    startedAt: new Date().toISOString(),
  };
}

export interface Busyness {
  readonly loadAverages: readonly number[];
  /** Clock ticks since power-on that all CPUs were there for, and that another guest of the same hypervisor took. */
  readonly ticks: number;
  readonly stolenTicks: number;
}

export function busyness(): Busyness {
  const loadAverages = loadavg();
  try {
    // proc(5): cpu user nice system idle iowait irq softirq steal
    const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
      .split(/\s+/)
      .slice(1, 9)
      .map(Number);
    return {
      loadAverages,
      ticks: fields.reduce((sum, field) => sum + field, 0),
      stolenTicks: fields[7] ?? 0,
    };
  } catch {
    return { loadAverages, ticks: 0, stolenTicks: 0 };
  }
}

/** Share of the host's time between two looks that a hypervisor gave to others; NaN where the host does not say. */
export function stolenShare(before: Busyness, after: Busyness): number {
  return (after.stolenTicks - before.stolenTicks) / (after.ticks - before.ticks);
}
