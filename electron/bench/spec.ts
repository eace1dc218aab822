// What the benchmark asks of one run in Ringside, and what that answers: JSON between two processes.

export interface RunSpec {
  readonly image: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly compiler: 'on' | 'off';
  /** Folder of the host for the machine file. */
  readonly folder: string;
  /** Files of the host that are copied in before. */
  readonly files: readonly { readonly host: string; readonly guest: string }[];
  /** Files of the guest that are read before, so that they are in the page cache as they are on the host. */
  readonly warm: readonly string[];
  readonly argv: readonly string[];
  readonly directory: string;
  /** Files of the guest whose hash is asked for. */
  readonly outputs: readonly string[];
  /** Take a CPU profile of the host while the command runs. */
  readonly profile: boolean;
}

export interface CompilerFigures {
  readonly regions: number;
  readonly instructions: number;
  readonly bytes: number;
  readonly milliseconds: number;
}

/** A function of the host's profile. */
export interface ProfiledFunction {
  readonly name: string;
  readonly place: string;
  readonly selfMs: number;
}

export interface RunAnswer {
  /** Host time from the order to start the command until its exit. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bootSeconds: number;
  readonly virtualSeconds: number;
  /** Instructions that ran in user mode. */
  readonly instructions: number;
  /** What the compiler did from power-on to the command's end. */
  readonly compiled: CompilerFigures;
  /** As a shell has it: 128+n for signal n. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** SHA-256 of each output. */
  readonly hashes: readonly string[];
  readonly profile: readonly ProfiledFunction[];
  readonly profileMs: number;
}
