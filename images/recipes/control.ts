/** Reads Debian's control paragraphs (deb822): package indexes and what `apt-cache show` prints. */
import type { PackageRecord } from './recipe.ts';

/** The fields of the first lines of each paragraph; continuation lines are not kept, none of ours has them. */
export function paragraphs(text: string): Map<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => {
      const fields = new Map<string, string>();
      for (const line of paragraph.split('\n')) {
        const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
        if (match?.[1] !== undefined && match[2] !== undefined) fields.set(match[1], match[2].trim());
      }
      return fields;
    });
}

/** Undefined where the paragraph lacks what is needed to fetch and check the package. */
export function packageRecordOf(fields: ReadonlyMap<string, string>): PackageRecord | undefined {
  const name = fields.get('Package');
  const version = fields.get('Version');
  const filename = fields.get('Filename');
  const sha256 = fields.get('SHA256');
  const sizeBytes = Number(fields.get('Size'));
  if (name === undefined || version === undefined || filename === undefined || sha256 === undefined)
    return undefined;
  if (!/^[0-9a-f]{64}$/.test(sha256) || !Number.isSafeInteger(sizeBytes)) return undefined;
  return { name, version, filename, sizeBytes, sha256 };
}
