// Sockets: families, types, levels, options, message flags, control messages (socket(2), socket(7), unix(7), ip(7)).
export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_MAX = 46;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_TYPE_MASK = 0xf;

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;

export const SOL_SOCKET = 1;

export const SO = {
  DEBUG: 1, REUSEADDR: 2, TYPE: 3, ERROR: 4, DONTROUTE: 5, BROADCAST: 6, SNDBUF: 7, RCVBUF: 8, KEEPALIVE: 9, OOBINLINE: 10,
  NO_CHECK: 11, PRIORITY: 12, LINGER: 13, BSDCOMPAT: 14, REUSEPORT: 15, PASSCRED: 16, PEERCRED: 17, RCVLOWAT: 18,
  SNDLOWAT: 19, RCVTIMEO: 20, SNDTIMEO: 21, BINDTODEVICE: 25, TIMESTAMP: 29, ACCEPTCONN: 30, PEERSEC: 31, SNDBUFFORCE: 32,
  RCVBUFFORCE: 33, PASSSEC: 34, MARK: 36, PROTOCOL: 38, DOMAIN: 39, PEERGROUPS: 59,
} as const; // prettier-ignore

export const MSG = {
  OOB: 1, PEEK: 2, DONTROUTE: 4, CTRUNC: 8, TRUNC: 0x20, DONTWAIT: 0x40, EOR: 0x80, WAITALL: 0x100, ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000, MORE: 0x8000, WAITFORONE: 0x10000, CMSG_CLOEXEC: 0x4000_0000,
} as const; // prettier-ignore

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
/** Most files that one message carries. */
export const SCM_MAX_FD = 253;

export const SOCKADDR_UN_BYTES = 110;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
export const SOCKADDR_STORAGE_BYTES = 128;

/** struct msghdr: name, namelen, iov, iovlen, control, controllen, flags. */
export const MSGHDR_BYTES = 56;
/** struct mmsghdr: a msghdr and a length. */
export const MMSGHDR_BYTES = 64;
export const CMSGHDR_BYTES = 16;
export const UCRED_BYTES = 12;
