// Measures one job: all contenders in turn, again and again, so that what slows the host down meets all of them.
import type { Job } from './jobs.ts';
import { CONTENDERS, type Contender, type Row, type Sample, type Samples } from './statistics.ts';

type Kept = Record<Contender, { whole: Sample[]; empty: Sample[] }>;

export function measure(job: Job, contenders: readonly Contender[], runs: number): Row {
  const kept: Kept = {
    native: { whole: [], empty: [] },
    qemu: { whole: [], empty: [] },
    ringside: { whole: [], empty: [] },
  };
  const checksums = new Map<string, { first: string; contender: Contender }>();
  const problems: string[] = [];
  const failed = new Set<Contender>();
  const once = (contender: Contender, part: keyof Samples, n: number): void => {
    const { sample, checksum } = job.run(contender, n);
    kept[contender][part].push(sample);
    const known = checksums.get(part);
    if (known === undefined) checksums.set(part, { first: checksum, contender });
    else if (known.first !== checksum) {
      throw new Error(`${contender} gives "${checksum}" where ${known.contender} gives "${known.first}"`);
    }
  };
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) {
      if (failed.has(contender)) continue;
      try {
        once(contender, 'whole', job.n);
        if (job.hasEmptyRun) once(contender, 'empty', 0);
      } catch (error) {
        failed.add(contender);
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  const samples: Partial<Record<Contender, Samples>> = {};
  for (const contender of CONTENDERS)
    if (contenders.includes(contender) && !failed.has(contender)) samples[contender] = kept[contender];
  const checksum = problems.length === 0 ? (checksums.get('whole')?.first ?? '') : '';
  return { program: job.name, group: job.group, n: job.n, samples, checksum, problems };
}
