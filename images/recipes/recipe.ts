/**
 * What a recipe declares: the packages of a guest disk and what is added to their files.
 * `build.ts` does what it says; a new image is a new folder with a `recipe.ts` and a line in `index.ts`.
 */

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Full name, as /etc/passwd has it. */
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
  /** As crypt(5) writes it; '*' bars the login. */
  readonly passwordHash: string;
  readonly groups: readonly string[];
}

/** Mode and owner of paths that are not root's 0644 file or 0755 directory. */
export interface Permission {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A program in the image that a newcomer may open first. */
export interface GuestProgram {
  readonly path: string;
  readonly title: string;
  readonly about: string;
}

export interface Recipe {
  readonly name: string;
  readonly description: string;
  /** Debian release whose packages it takes. */
  readonly suite: string;
  readonly packages: readonly string[];
  /** Paths of packages that stay out, with all below them. */
  readonly leaveOut: readonly string[];
  /** Folder of files that go in as they are, laid out as in the guest. */
  readonly filesFolder: string;
  /** Guest path of further files to the host's path. */
  readonly copies: Readonly<Record<string, string>>;
  readonly directories: readonly string[];
  /** Link to target. */
  readonly links: Readonly<Record<string, string>>;
  readonly permissions: Readonly<Record<string, Permission>>;
  readonly users: readonly User[];
  readonly diskBytes: number;
  readonly programs: readonly GuestProgram[];
  readonly label: string;
  /** The time of every file that the recipe adds, and of the file system. */
  readonly timeSeconds: number;
}

export interface Progress {
  readonly step: 'packages' | 'unpack' | 'assemble' | 'disk' | 'save';
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

export interface BuildOptions {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  readonly cacheDir?: string;
}

/** A package as the archive's index lists it. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}
