/** Files that must not be opened: each is refused with a message that says what is wrong, and stays as it was. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it } from 'vitest';
import { createMachineFile, MachineFileError, openMachineFile } from './index.ts';
import { config, inFolder, page } from './testing.ts';

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

function edit(path: string, change: (db: Database.Database) => void): void {
  const db = new Database(path);
  db.unsafeMode(true);
  change(db);
  db.close();
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const all = readFileSync(path);
  all.set(bytes, at);
  writeFileSync(path, all);
}

const sqlite = (sql: string) => (path: string) => edit(path, (db) => db.exec(sql));

it.each<[string, (path: string) => void, RegExp]>([
  ['an empty file', (path) => writeFileSync(path, ''), /not a Ringside machine file/],
  ['a text', (path) => writeFileSync(path, 'hello\n'.repeat(1000)), /not a Ringside machine file/],
  [
    'random bytes',
    (path) => writeFileSync(path, createHash('sha512').update('x').digest()),
    /not a Ringside machine file/,
  ],
  ['a cut-off header', (path) => truncateSync(path, 60), /not a Ringside machine file/],
  ['a cut-off file', (path) => truncateSync(path, statSync(path).size - 5000), /cut off/],
  ['half a file', (path) => truncateSync(path, Math.floor(statSync(path).size / 2)), /cut off/],
  ['a database of another program', sqlite('PRAGMA application_id = 5'), /another program/],
  ['a newer version', sqlite('PRAGMA user_version = 99'), /newer Ringside \(format 99/],
  ['no version', sqlite('PRAGMA user_version = 0'), /no version/],
  [
    'a trigger',
    sqlite('CREATE TRIGGER t AFTER INSERT ON note BEGIN DELETE FROM chunk; END'),
    /does not belong/,
  ],
  ['a view', sqlite('CREATE VIEW v AS SELECT * FROM chunk'), /does not belong/],
  ['an index', sqlite('CREATE INDEX i ON chunk (pages)'), /does not belong/],
  ['a further table', sqlite('CREATE TABLE more (a)'), /does not belong/],
  ['a column more', sqlite('ALTER TABLE note ADD COLUMN more'), /not as it should be/],
  ['a missing table', sqlite('DROP TABLE note'), /no table note/],
  ['no kind', sqlite("DELETE FROM meta WHERE key = 'kind'"), /does not say what it is/],
  [
    'a configuration that is no JSON',
    sqlite("UPDATE meta SET value = X'7b' WHERE key = 'config'"),
    /config is not JSON/,
  ],
  [
    '17 CPUs',
    sqlite(`UPDATE meta SET value = CAST('{"name":"x","cpus":17}' AS BLOB) WHERE key = 'config'`),
    /CPUs/,
  ],
  ['a text for a number', sqlite("UPDATE disk SET blocks = 'many'"), /blocks is not a number/],
  [
    'a disk of an exabyte',
    sqlite('UPDATE disk SET blocks = 281474976710656'),
    /blocks is not a number in its range/,
  ],
  ['a layer that is missing', sqlite('UPDATE disk SET top = 77'), /layer 77 of a disk is missing/],
  ['layers in a circle', sqlite('UPDATE layer SET parent = id'), /circle/],
  ['a directory', (path) => writeFileSync(`${path}.moved`, ''), /no machine file|not a file/],
])('refuses %s', (name, spoil, message) => {
  inFolder((folder, image) => {
    const path = join(folder, 'victim.ringside');
    createMachineFile(path, { image, config }).close();
    spoil(path);
    let victim = path;
    if (name === 'a directory') {
      victim = join(folder, 'directory.ringside');
      mkdirSync(victim);
    }
    const before = name === 'a directory' ? '' : hashOf(victim);
    const filesBefore = readdirSync(dirname(victim));
    expect(() => openMachineFile(victim)).toThrow(message);
    expect(() => openMachineFile(victim, { readOnly: true })).toThrow(message);
    if (name !== 'a directory') expect(hashOf(victim)).toBe(before);
    expect(readdirSync(dirname(victim))).toEqual(filesBefore);
  });
});

it('refuses a file that is not there, and an image', () => {
  inFolder((folder, image) => {
    expect(() => openMachineFile(join(folder, 'none'))).toThrow(/no machine file at/);
    expect(() => openMachineFile(image)).toThrow(/is an image/);
    expect(() => createMachineFile(join(folder, 'm'), { image: join(folder, 'none'), config })).toThrow(
      /missing/,
    );
    expect(readdirSync(folder)).toEqual([basename(image)]);
  });
});

it.skipIf(process.getuid?.() === 0)('says that a file may not be written', () => {
  inFolder((folder, image) => {
    const path = join(folder, 'm.ringside');
    createMachineFile(path, { image, config }).close();
    chmodSync(path, 0o444);
    expect(() => openMachineFile(path)).toThrow(/may not be written/);
  });
});

it.each([
  ['content that does not unpack', "UPDATE chunk SET data = X'00112233'", /does not unpack/],
  ['content that is missing', 'DELETE FROM chunk', /is missing/],
  ['content of a wrong length', 'UPDATE chunk SET pages = 3', /wrong length/],
  ['content of a wrong type', "UPDATE chunk SET data = 'text'", /wrong size or type/],
  ['a chunk that is too large', 'UPDATE chunk SET data = zeroblob(5000000)', /is missing/],
])('finds %s when it reads it', (_case, sql, message) => {
  inFolder((folder, image) => {
    const path = join(folder, 'm.ringside');
    createMachineFile(path, { image, config }).close();
    edit(path, (db) => db.exec(sql));
    const machine = openMachineFile(path);
    expect(() => machine.disk('vda').readBlock(3)).toThrow(message);
    expect(() => machine.disk('vda').readBlock(3)).toThrow(MachineFileError);
    expect(machine.verify().length).toBeGreaterThan(0);
    machine.close();
  });
});

it('finds any flipped byte of a snapshot, or loads it as it was', () => {
  inFolder((folder, image) => {
    const path = join(folder, 'm.ringside');
    const machine = createMachineFile(path, { image, config });
    const ram = new Uint8Array(config.memoryBytes);
    for (let frame = 0; frame < 200; frame++) ram.set(page(frame), frame * 4096);
    machine.saveSnapshot(
      'a',
      { kernel: { a: [1, 2, 3] }, cpus: [Uint8Array.of(1)], ram },
      { virtualNs: 1, createdAt: '' },
    );
    machine.close();
    const size = statSync(path).size;
    const target = new Uint8Array(config.memoryBytes);
    for (let round = 0; round < 60; round++) {
      const copy = join(folder, `copy-${round}.ringside`);
      copyFileSync(path, copy);
      const at = 100 + Math.floor(((size - 100) * (round + 0.5)) / 60);
      overwrite(copy, at, Uint8Array.of(0xff ^ (readFileSync(copy)[at] ?? 0)));
      try {
        const opened = openMachineFile(copy);
        try {
          const loaded = opened.loadSnapshot('a', { ram: target, isZeroed: false }, (kernel) => kernel);
          expect(Buffer.compare(target, ram)).toBe(0);
          expect(loaded.kernel).toEqual({ a: [1, 2, 3] });
        } finally {
          opened.close();
        }
      } catch (error) {
        expect(error).toBeInstanceOf(MachineFileError);
      }
    }
  });
});
