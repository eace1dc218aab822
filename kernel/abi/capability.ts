// capabilities(7): numbers, the sets as 64-bit masks, and securebits.
export const CAP = {
  CHOWN: 0, DAC_OVERRIDE: 1, DAC_READ_SEARCH: 2, FOWNER: 3, FSETID: 4, KILL: 5, SETGID: 6, SETUID: 7, SETPCAP: 8,
  LINUX_IMMUTABLE: 9, NET_BIND_SERVICE: 10, NET_BROADCAST: 11, NET_ADMIN: 12, NET_RAW: 13, IPC_LOCK: 14, IPC_OWNER: 15,
  SYS_MODULE: 16, SYS_RAWIO: 17, SYS_CHROOT: 18, SYS_PTRACE: 19, SYS_PACCT: 20, SYS_ADMIN: 21, SYS_BOOT: 22, SYS_NICE: 23,
  SYS_RESOURCE: 24, SYS_TIME: 25, SYS_TTY_CONFIG: 26, MKNOD: 27, LEASE: 28, AUDIT_WRITE: 29, AUDIT_CONTROL: 30,
  SETFCAP: 31, MAC_OVERRIDE: 32, MAC_ADMIN: 33, SYSLOG: 34, WAKE_ALARM: 35, BLOCK_SUSPEND: 36, AUDIT_READ: 37,
  PERFMON: 38, BPF: 39, CHECKPOINT_RESTORE: 40,
} as const; // prettier-ignore

export const CAP_LAST = 40;
export const ALL_CAPABILITIES = (1n << BigInt(CAP_LAST + 1)) - 1n;

export const capabilityBit = (capability: number): bigint => 1n << BigInt(capability);

/** The capabilities that follow the file system uid (setfsuid, and setuid from or to 0). */
export const FS_CAPABILITIES =
  capabilityBit(CAP.CHOWN) | capabilityBit(CAP.DAC_OVERRIDE) | capabilityBit(CAP.DAC_READ_SEARCH) |
  capabilityBit(CAP.FOWNER) | capabilityBit(CAP.FSETID) | capabilityBit(CAP.LINUX_IMMUTABLE) |
  capabilityBit(CAP.MKNOD) | capabilityBit(CAP.MAC_OVERRIDE); // prettier-ignore

export const SECBIT = {
  NOROOT: 1,
  NOROOT_LOCKED: 2,
  NO_SETUID_FIXUP: 4,
  NO_SETUID_FIXUP_LOCKED: 8,
  KEEP_CAPS: 16,
  KEEP_CAPS_LOCKED: 32,
  NO_CAP_AMBIENT_RAISE: 64,
  NO_CAP_AMBIENT_RAISE_LOCKED: 128,
} as const;

export const CAPABILITY_VERSION_1 = 0x1998_0330;
export const CAPABILITY_VERSION_2 = 0x2007_1026;
export const CAPABILITY_VERSION_3 = 0x2008_0522;
