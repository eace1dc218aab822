/**
 * Tidies the layers after a snapshot has gone: those that nothing stands on are deleted, and a layer that only
 * one other layer stands on is taken into that one, so that chains do not grow with every snapshot ever made.
 * An image's layer, which has no parent, stays.
 */
import type { ChunkWriter } from './chunks.ts';
import { changeUses } from './chunks.ts';
import { sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { countChunks, readLayer, writeRegion } from './layers.ts';
import { integerOf, isNull } from './rows.ts';

/** Layer to parent. */
type Parents = Map<number, number | undefined>;

/** Within a transaction. The regions that disks keep in memory must be read again after it. */
export function tidyLayers(writer: ChunkWriter): void {
  const { file } = writer.store;
  const parents: Parents = new Map();
  for (const row of sql(file, 'SELECT id, parent FROM layer').all()) {
    parents.set(integerOf(row, 'id'), isNull(row, 'parent') ? undefined : integerOf(row, 'parent'));
  }
  const held = new Set<number>();
  for (const row of sql(file, 'SELECT top AS layer FROM disk UNION SELECT layer FROM snapshot_disk').all()) {
    held.add(integerOf(row, 'layer'));
  }
  deleteUnused(writer, parents, held);
  for (const [layer, parent] of [...parents].sort(([a], [b]) => a - b)) {
    if (parent === undefined || held.has(layer)) continue;
    const children = [...parents].filter(([, of]) => of === layer).map(([child]) => child);
    const [child] = children;
    if (child === undefined || children.length > 1) continue;
    takeIn(writer, layer, child);
    sql(file, 'UPDATE layer SET parent = ? WHERE id = ?').run(parent, child);
    parents.set(child, parent);
    deleteRows(file, parents, layer);
  }
}

function deleteUnused(writer: ChunkWriter, parents: Parents, held: ReadonlySet<number>): void {
  const used = new Set<number>();
  for (const start of held) {
    for (
      let layer: number | undefined = start;
      layer !== undefined && !used.has(layer);
      layer = parents.get(layer)
    ) {
      used.add(layer);
    }
  }
  for (const layer of [...parents.keys()]) {
    if (used.has(layer)) continue;
    countChunks(readLayer(writer.store.file, layer), (chunk) => changeUses(writer, chunk, -1));
    deleteRows(writer.store.file, parents, layer);
  }
}

function deleteRows(file: MachineDatabase, parents: Parents, layer: number): void {
  sql(file, 'DELETE FROM map WHERE layer = ?').run(layer);
  sql(file, 'DELETE FROM layer WHERE id = ?').run(layer);
  parents.delete(layer);
}

/** The child gets what it does not have; what it hides is used once less. */
function takeIn(writer: ChunkWriter, layer: number, child: number): void {
  const { file } = writer.store;
  const upper = readLayer(file, child);
  for (const [number, region] of readLayer(file, layer)) {
    const over = upper.get(number);
    over?.chunks.forEach((chunk, at) => {
      if (chunk === 0) return;
      changeUses(writer, region.chunks[at] ?? 0, -1);
      region.chunks[at] = chunk;
      region.slots[at] = over.slots[at] ?? 0;
    });
    writeRegion(file, child, number, region);
  }
}
