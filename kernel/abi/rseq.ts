// struct rseq (include/uapi/linux/rseq.h): cpu_id_start, cpu_id, rseq_cs, flags; and struct rseq_cs.
export const RSEQ_BYTES = 32;
export const RSEQ_FLAG_UNREGISTER = 1;
export const RSEQ_CPU_ID_START = 0;
export const RSEQ_CPU_ID = 4;
export const RSEQ_CS = 8;
export const RSEQ_CPU_UNINITIALIZED = 0xffff_ffff;

/** struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip. */
export const RSEQ_CS_BYTES = 32;
