/**
 * Unpacks a .deb in memory, without running anything of it: an ar archive (deb(5)) whose member
 * data.tar.{xz,zst,gz} holds the files. Paths come out absolute.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import tar from 'tar-stream';
import xz from 'xz-decompress';
import type { Entry } from '../mkfs/entries.ts';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER = 60;
const MAX_UNPACKED_BYTES = 1024 ** 3;

interface Member {
  readonly name: string;
  readonly content: Uint8Array;
}

export function arMembers(archive: Uint8Array): Member[] {
  const text = (from: number, to: number) => Buffer.from(archive.subarray(from, to)).toString('latin1');
  if (text(0, 8) !== AR_MAGIC)
    throw new Error('This is not a Debian package: it does not begin as an ar archive.');
  const members: Member[] = [];
  let at = AR_MAGIC.length;
  while (at + AR_HEADER <= archive.length) {
    const name = text(at, at + 16)
      .trim()
      .replace(/\/$/, '');
    const size = Number(text(at + 48, at + 58).trim());
    const start = at + AR_HEADER;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > archive.length) {
      throw new Error('The Debian package is truncated.');
    }
    members.push({ name, content: archive.subarray(start, start + size) });
    at = start + size + (size % 2);
  }
  return members;
}

export async function unxz(bytes: Uint8Array): Promise<Uint8Array> {
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  const reader = new xz.XzReadableStream(source).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > MAX_UNPACKED_BYTES) throw new Error('A package unpacks to more than 1 GiB.');
    parts.push(value);
  }
  return Buffer.concat(parts, total);
}

async function decompress(member: Member): Promise<Uint8Array> {
  if (member.name.endsWith('.xz')) return unxz(member.content);
  if (member.name.endsWith('.zst')) return zstdDecompressSync(member.content);
  if (member.name.endsWith('.gz')) return gunzipSync(member.content);
  return member.content;
}

/** All files of a package. Hard links name another entry of the same list. */
export async function unpackDeb(archive: Uint8Array): Promise<Entry[]> {
  const data = arMembers(archive).find((member) => member.name.startsWith('data.tar'));
  if (data === undefined) throw new Error('The Debian package has no data.tar.');
  const extract = tar.extract();
  extract.end(await decompress(data));
  const entries: Entry[] = [];
  for await (const entry of extract) {
    const { header } = entry;
    const parts: Uint8Array[] = [];
    for await (const part of entry) {
      const chunk: unknown = part;
      if (chunk instanceof Uint8Array) parts.push(chunk);
    }
    const attributes = {
      path: absolute(header.name),
      mode: (header.mode ?? 0o644) & 0o7777,
      uid: header.uid ?? 0,
      gid: header.gid ?? 0,
      mtimeSeconds: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
    };
    if (header.type === 'file') entries.push({ ...attributes, type: 'file', content: Buffer.concat(parts) });
    else if (header.type === 'directory') entries.push({ ...attributes, type: 'directory' });
    else if (header.type === 'symlink')
      entries.push({ ...attributes, type: 'symlink', target: header.linkname ?? '' });
    else if (header.type === 'link') {
      entries.push({ type: 'hardlink', path: attributes.path, target: absolute(header.linkname ?? '') });
    } else throw new Error(`The package has an entry of type ${header.type ?? 'none'}: ${header.name}`);
  }
  return entries;
}

function absolute(name: string): string {
  const path = `/${name}`.replace(/\/\.(?=\/|$)/g, '').replace(/\/+/g, '/');
  return path.length > 1 ? path.replace(/\/$/, '') : '/';
}
