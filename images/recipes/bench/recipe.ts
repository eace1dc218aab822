/**
 * The base image with what the benchmark's whole programs need: gzip, sqlite3, and gcc's compiler and assembler
 * (`cc1`, `as`), as Debian has them. The sanitizers' libraries that gcc-12 names stay out: nothing here links with them.
 */
import type { Recipe } from '../recipe.ts';
import { base } from '../base/recipe.ts';

const GZIP = ['gzip'];
const SQLITE = ['libreadline8', 'libsqlite3-0', 'libtinfo6', 'readline-common', 'sqlite3', 'zlib1g'];
const GCC = [
  'binutils',
  'binutils-common',
  'binutils-x86-64-linux-gnu',
  'cpp-12',
  'gcc-12',
  'gcc-12-base',
  'libatomic1',
  'libbinutils',
  'libcc1-0',
  'libctf-nobfd0',
  'libctf0',
  'libgcc-12-dev',
  'libgmp10',
  'libgomp1',
  'libgprofng0',
  'libisl23',
  'libitm1',
  'libjansson4',
  'libmpc3',
  'libmpfr6',
  'libquadmath0',
  'libstdc++6',
  'libzstd1',
];

export const bench: Recipe = {
  ...base,
  name: 'bench',
  description: 'The base image with gcc, gzip and sqlite3: what `npm run bench` measures',
  packages: [...base.packages, ...GZIP, ...SQLITE, ...GCC].sort(),
};
