// Compiles host.c and runs cases on the real CPU. Only on x86-64 Linux with gcc.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Batch, Result } from './records.ts';
import { PLACE, decodeResults, encodeBatch } from './records.ts';

export interface NativeHost {
  readonly directory: string;
  readonly program: string;
}

/** In memory where there is such a folder: batches pass through it. */
const scratchFolder = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());

/** CPUID features whose names in /proc/cpuinfo are not ours; those that are not named here are ours without dots. */
const FLAG_NAMES: Record<string, string> = { sse3: 'pni', lzcnt: 'abm', sha: 'sha_ni', 'sse4.1': 'sse4_1', 'sse4.2': 'sse4_2', lahf: 'lahf_lm', pclmul: 'pclmulqdq', 'fsgs': 'fsgsbase' }; // prettier-ignore
const EVERYWHERE = new Set([
  'base',
  'x87',
  'cmov',
  'cx8',
  'cx16',
  'mmx',
  'fxsr',
  'syscall',
  'rdtscp',
  'clflush',
  'cet',
]);

/** Whether this CPU has a feature that an instruction asks for. */
export function hostHas(feature: string): boolean {
  hostFlags ??= new Set(cpuInfo('flags').split(' '));
  return EVERYWHERE.has(feature) || hostFlags.has(FLAG_NAMES[feature] ?? feature);
}
let hostFlags: Set<string> | undefined;

/** CPUID's name of who made this CPU. */
export const hostVendor = (): string => (vendor ??= cpuInfo('vendor_id'));
let vendor: string | undefined;

function cpuInfo(line: string): string {
  if (process.platform !== 'linux') return '';
  const found = new RegExp(`^${line}\\s*: (.*)$`, 'm').exec(readFileSync('/proc/cpuinfo', 'utf8'));
  return found?.[1] ?? '';
}

/** Undefined where there is no such host. */
export function buildNative(): NativeHost | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const directory = mkdtempSync(join(scratchFolder(), 'lockstep-'));
  const program = join(directory, 'host');
  const places = { CODE: PLACE.code, DATA: PLACE.data, READONLY: PLACE.readOnly, STACK: PLACE.stack, WRITABLE_CODE: PLACE.writableCode, GS_BASE: PLACE.gsBase }; // prettier-ignore
  const defines = Object.entries(places).map(([name, value]) => `-D${name}=0x${value.toString(16)}ull`);
  const source = join(import.meta.dirname, 'host.c');
  const compiled = spawnSync('gcc', ['-O2', '-Wall', '-pie', '-fPIE', ...defines, '-o', program, source], { encoding: 'utf8' }); // prettier-ignore
  if (compiled.status === 0) return { directory, program };
  rmSync(directory, { recursive: true });
  if (compiled.error === undefined) throw new Error(`host.c does not compile:\n${compiled.stderr}`);
  return undefined;
}

/** Runs the first `count` cases of a batch. */
export function runNative(host: NativeHost, batch: Batch, count: number): Result[] {
  const input = join(host.directory, 'cases');
  const output = join(host.directory, 'results');
  writeFileSync(input, encodeBatch(batch, count));
  const ran = spawnSync(host.program, [input, output], { encoding: 'utf8', timeout: 60_000 });
  if (ran.status !== 0) throw new Error(`the native half failed: ${ran.signal ?? ran.status} ${ran.stderr}`);
  return decodeResults(new Uint8Array(readFileSync(output)));
}

export function removeNative(host: NativeHost): void {
  rmSync(host.directory, { recursive: true, force: true });
}

/** Code as text, one instruction a line, by objdump where there is one. */
export function disassemble(host: NativeHost, code: Uint8Array): string[] {
  const file = join(host.directory, 'code');
  writeFileSync(file, code);
  const ran = spawnSync('objdump', ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', file], { encoding: 'utf8' }); // prettier-ignore
  if (ran.status !== 0) return [];
  return ran.stdout.split('\n').filter((line) => /^ +[0-9a-f]+:.*\t.*\t/.test(line)).map((line) => line.replaceAll('\t', ' ').trim()); // prettier-ignore
}
