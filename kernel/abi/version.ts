// What uname(2), /proc/version and the boot log say that the kernel is. Programs parse the release: it must begin with the
// version whose ABI this kernel keeps to.
export const KERNEL_VERSION = {
  sysname: 'Linux',
  release: '6.1.0-ringside',
  version: '#1 SMP PREEMPT_DYNAMIC Ringside',
  machine: 'x86_64',
  builder: 'ringside@lab',
} as const;
