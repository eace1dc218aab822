// `npm run deviations`: where Ringside differs from Linux or the CPU on purpose, from the comments that say so.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../../..');
for (const folder of ['kernel', 'images', 'electron']) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.ts') || entry.name.includes('.test.')) continue;
    const path = join(entry.parentPath, entry.name);
    const lines = readFileSync(path, 'utf8').split('\n');
    lines.forEach((line, index) => {
      const found = /Deviation: ?(.*)/.exec(line);
      if (found === null) return;
      const more = lines
        .slice(index + 1)
        .findIndex((next) => !/^\s*(\/\/|\*)/.test(next) || /Deviation:/.test(next));
      const rest = lines
        .slice(index + 1, index + 1 + Math.max(0, more))
        .map((next) => next.replace(/^\s*(\/\/|\*\/?)\s?/, ''));
      console.log(
        `${relative(root, path)}:${index + 1}: ${[found[1], ...rest]
          .join(' ')
          .replace(/\s*\*\/$/, '')
          .trim()}`,
      );
    });
  }
}
