// Compiles host.c and runs cases on the real CPU. Only on x86-64 Linux with gcc.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case, Result } from './records.ts';
import { PLACE, decodeResults, encodeCases } from './records.ts';

export interface NativeHost {
  readonly directory: string;
  readonly program: string;
}

/** Undefined where there is no such host. */
export function buildNative(): NativeHost | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-'));
  const program = join(directory, 'host');
  const places = { CODE: PLACE.code, DATA: PLACE.data, READONLY: PLACE.readOnly, STACK: PLACE.stack, GS_BASE: PLACE.gsBase }; // prettier-ignore
  const defines = Object.entries(places).map(([name, value]) => `-D${name}=0x${value.toString(16)}ull`);
  const source = join(import.meta.dirname, 'host.c');
  const compiled = spawnSync('gcc', ['-O2', '-Wall', '-pie', '-fPIE', ...defines, '-o', program, source], { encoding: 'utf8' }); // prettier-ignore
  if (compiled.status === 0) return { directory, program };
  rmSync(directory, { recursive: true });
  if (compiled.error === undefined) throw new Error(`host.c does not compile:\n${compiled.stderr}`);
  return undefined;
}

export function runNative(host: NativeHost, cases: readonly Case[]): Result[] {
  const input = join(host.directory, 'cases');
  const output = join(host.directory, 'results');
  writeFileSync(input, encodeCases(cases));
  const ran = spawnSync(host.program, [input, output], { encoding: 'utf8', timeout: 60_000 });
  if (ran.status !== 0) throw new Error(`the native half failed: ${ran.signal ?? ran.status} ${ran.stderr}`);
  return decodeResults(new Uint8Array(readFileSync(output)));
}

export function removeNative(host: NativeHost): void {
  rmSync(host.directory, { recursive: true, force: true });
}

/** Text of an instruction for a report, by objdump where there is one. */
export function disassemble(host: NativeHost, code: Uint8Array): string {
  const file = join(host.directory, 'code');
  writeFileSync(file, code);
  const ran = spawnSync('objdump', ['-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', file], { encoding: 'utf8' }); // prettier-ignore
  const line = ran.stdout.split('\n').find((text) => text.startsWith('   0:'));
  return line?.split('\t').slice(2).join(' ').trim() ?? '';
}
