/**
 * The applets of a busybox binary. Its applet names lie in the file one after another, sorted, each ended
 * by a zero byte, from '[' on: the same list that `busybox --list` prints, read without running it.
 */

/** Applets that Debian's other packages keep in sbin. */
const SYSTEM_APPLETS = new Set(
  (
    'acpid adjtimex arp arping blockdev brctl chroot crond depmod devmem fdisk findfs freeramdisk fsfreeze fstrim ' +
    'getty halt httpd hwclock i2cdetect i2cdump i2cget i2cset i2ctransfer ifconfig ifdown ifup init insmod ip ipneigh ' +
    'klogd loadfont loadkmap logread losetup lsmod mdev mim mkdosfs mke2fs mkswap modinfo modprobe nameif nologin ' +
    'partprobe pivot_root poweroff rdate reboot rmmod route run-init start-stop-daemon sulogin swapoff swapon ' +
    'switch_root sysctl syslogd tc telnetd tunctl ubirename udhcpc udhcpd uevent vconfig watchdog'
  ).split(' '),
);
const FIRST_NAMES = Buffer.from('[\0[[\0', 'latin1');
const NAME = /^[a-z0-9_[.-]+$/;
const MIN_APPLETS = 50;

export function appletsOf(binary: Uint8Array): string[] {
  const bytes = Buffer.from(binary.buffer, binary.byteOffset, binary.length);
  for (let start = bytes.indexOf(FIRST_NAMES); start >= 0; start = bytes.indexOf(FIRST_NAMES, start + 1)) {
    const names: string[] = [];
    let at = start;
    for (;;) {
      const end = bytes.indexOf(0, at);
      const name = end < 0 ? '' : bytes.toString('latin1', at, end);
      const previous = names.at(-1);
      if (!NAME.test(name) || (previous !== undefined && name <= previous)) break;
      names.push(name);
      at = end + 1;
    }
    if (names.length >= MIN_APPLETS) return names;
  }
  throw new Error('The busybox package has no applet list that we can read.');
}

/** Where an applet's link lies on a disk with merged /usr; undefined for names that are no commands. */
export function appletPath(name: string): string | undefined {
  if (name === 'linuxrc' || name === 'busybox') return undefined;
  return SYSTEM_APPLETS.has(name) ? `/usr/sbin/${name}` : `/usr/bin/${name}`;
}
