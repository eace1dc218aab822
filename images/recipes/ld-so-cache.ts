/**
 * Writes /etc/ld.so.cache as ldconfig would (glibc, sysdeps/generic/dl-cache.h, the new format): for each
 * shared library of the standard folders its soname and path, sorted so that ld.so can search by halves.
 */
import type { Entry } from '../mkfs/entries.ts';

/** In the order in which ld.so.conf.d names them; the first to have a name wins. */
const FOLDERS = [
  '/usr/local/lib',
  '/usr/local/lib/x86_64-linux-gnu',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib',
];
const MAGIC = 'glibc-ld.so.cache1.1';
const HEADER_SIZE = 48;
const ENTRY_SIZE = 24;
const FLAGS_X86_64 = 0x0303; // FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
const LITTLE_ENDIAN = 2;

const DT_STRTAB = 5;
const DT_SONAME = 14;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;

/** DT_SONAME of an x86-64 shared object; undefined for anything else. */
export function sonameOf(file: Uint8Array): string | undefined {
  if (file.length < 64 || Buffer.from(file.subarray(0, 5)).toString('latin1') !== '\x7fELF\x02')
    return undefined;
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const ET_DYN = 3;
  const EM_X86_64 = 62;
  if (view.getUint16(16, true) !== ET_DYN || view.getUint16(18, true) !== EM_X86_64) return undefined;
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const headers = Array.from({ length: view.getUint16(56, true) }, (_, index) => {
    const at = u64(32) + index * view.getUint16(54, true);
    return { type: view.getUint32(at, true), offset: u64(at + 8), address: u64(at + 16), size: u64(at + 32) };
  });
  const dynamic = headers.find((header) => header.type === PT_DYNAMIC);
  if (dynamic === undefined) return undefined;
  const tags = new Map<number, number>();
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.size; at += 16)
    tags.set(u64(at), u64(at + 8));
  const strings = tags.get(DT_STRTAB);
  const soname = tags.get(DT_SONAME);
  if (strings === undefined || soname === undefined) return undefined;
  const segment = headers.find(
    (header) =>
      header.type === PT_LOAD && strings >= header.address && strings < header.address + header.size,
  );
  if (segment === undefined) return undefined;
  const start = strings - segment.address + segment.offset + soname;
  return Buffer.from(file.subarray(start, file.indexOf(0, start))).toString('latin1');
}

/** glibc's _dl_cache_libcmp: like strcmp, but runs of digits compare as numbers. */
export function compareLibraries(a: string, b: string): number {
  let i = 0;
  let j = 0;
  const isDigit = (text: string, at: number) =>
    at < text.length && text.charAt(at) >= '0' && text.charAt(at) <= '9';
  while (i < a.length) {
    if (isDigit(a, i)) {
      if (!isDigit(b, j)) return 1;
      let x = 0;
      let y = 0;
      while (isDigit(a, i)) x = x * 10 + Number(a.charAt(i++));
      while (isDigit(b, j)) y = y * 10 + Number(b.charAt(j++));
      if (x !== y) return x - y;
    } else if (isDigit(b, j)) {
      return -1;
    } else if (a.charAt(i) !== b.charAt(j)) {
      return (a.charCodeAt(i) || 0) - (b.charCodeAt(j) || 0);
    } else {
      i++;
      j++;
    }
  }
  return j < b.length ? -b.charCodeAt(j) : 0;
}

/** Name and path of what the cache lists, first the last in order, as ld.so's search wants it. */
export function cachedLibraries(entries: readonly Entry[]): { name: string; path: string }[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const found = new Map<string, string>();
  for (const folder of FOLDERS) {
    const shown = folder.replace(/^\/usr\/lib/, '/lib');
    for (const entry of entries) {
      const file = entry.path.slice(folder.length + 1);
      if (!entry.path.startsWith(`${folder}/`) || file.includes('/') || !/^(lib|ld-).*\.so/.test(file))
        continue;
      const content = contentBehind(entry, byPath);
      const soname = content === undefined ? undefined : sonameOf(content);
      if (content === undefined) continue;
      // A development link (libm.so) is listed under its own name, a library under its soname.
      const isDevelopmentLink = entry.type === 'symlink' && file.endsWith('.so');
      const name = isDevelopmentLink ? file : (soname ?? file);
      if (
        entry.type === 'file' &&
        soname !== undefined &&
        soname !== file &&
        byPath.has(`${folder}/${soname}`)
      )
        continue;
      if (soname === undefined && !isElf(content)) continue;
      if (!found.has(name)) found.set(name, `${shown}/${name}`);
    }
  }
  return [...found].map(([name, path]) => ({ name, path })).sort((a, b) => -compareLibraries(a.name, b.name));
}

function isElf(content: Uint8Array): boolean {
  return content[0] === 0x7f && content[1] === 0x45;
}

function contentBehind(
  entry: Entry | undefined,
  byPath: ReadonlyMap<string, Entry>,
  depth = 0,
): Uint8Array | undefined {
  if (entry === undefined || depth > 8) return undefined;
  if (entry.type === 'file') return entry.content;
  if (entry.type === 'hardlink') return contentBehind(byPath.get(entry.target), byPath, depth + 1);
  if (entry.type !== 'symlink') return undefined;
  const folder = entry.path.slice(0, entry.path.lastIndexOf('/'));
  const absolute = entry.target.startsWith('/') ? entry.target : `${folder}/${entry.target}`;
  return contentBehind(byPath.get(absolute.replace(/^\/lib\//, '/usr/lib/')), byPath, depth + 1);
}

export function makeLdSoCache(entries: readonly Entry[]): Uint8Array {
  const libraries = cachedLibraries(entries);
  const stringsAt = HEADER_SIZE + libraries.length * ENTRY_SIZE;
  const strings = libraries.map(({ name, path }) => Buffer.from(`${name}\0${path}\0`));
  const length = strings.reduce((sum, part) => sum + part.length, 0);
  const cache = Buffer.alloc(stringsAt + length);
  cache.write(MAGIC, 'latin1');
  cache.writeUInt32LE(libraries.length, 20);
  cache.writeUInt32LE(length, 24);
  cache[28] = LITTLE_ENDIAN;
  let at = stringsAt;
  libraries.forEach(({ name }, index) => {
    const entryAt = HEADER_SIZE + index * ENTRY_SIZE;
    cache.writeUInt32LE(FLAGS_X86_64, entryAt);
    cache.writeUInt32LE(at, entryAt + 4);
    cache.writeUInt32LE(at + Buffer.byteLength(name) + 1, entryAt + 8);
    const text = strings[index];
    if (text === undefined) return;
    text.copy(cache, at);
    at += text.length;
  });
  return cache;
}
