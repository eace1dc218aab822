// Linux's error numbers (include/uapi/asm-generic/errno*.h), negative as the kernel returns them, and BLOCKED.
// A Failure is a value: check it with failed(x) and return it unchanged.

declare const failureBrand: unique symbol;
/** A negative number that says why a call did not do what it was asked. */
export type Failure = number & { readonly [failureBrand]: true };

function failure(number: number): Failure {
  return -number as Failure;
}

/** True for every Failure, BLOCKED and ERESTARTSYS among them. A count or an address is never negative. */
export function failed(value: unknown): value is Failure {
  return typeof value === 'number' && value < 0;
}

/** The task sleeps on a queue and the call will start again from its trap frame. Whoever returns it has changed nothing else. */
export const BLOCKED = failure(10_000);
/** A signal came while the call would sleep: becomes EINTR or a restart on the way out (SA_RESTART). */
export const ERESTARTSYS = failure(512);
/** As ERESTARTSYS, but restarts even without SA_RESTART when no handler runs (poll, sigsuspend: never with a handler). */
export const ERESTARTNOHAND = failure(514);

export const EPERM = failure(1);
export const ENOENT = failure(2);
export const ESRCH = failure(3);
export const EINTR = failure(4);
export const EIO = failure(5);
export const ENXIO = failure(6);
export const E2BIG = failure(7);
export const ENOEXEC = failure(8);
export const EBADF = failure(9);
export const ECHILD = failure(10);
export const EAGAIN = failure(11);
export const ENOMEM = failure(12);
export const EACCES = failure(13);
export const EFAULT = failure(14);
export const ENOTBLK = failure(15);
export const EBUSY = failure(16);
export const EEXIST = failure(17);
export const EXDEV = failure(18);
export const ENODEV = failure(19);
export const ENOTDIR = failure(20);
export const EISDIR = failure(21);
export const EINVAL = failure(22);
export const ENFILE = failure(23);
export const EMFILE = failure(24);
export const ENOTTY = failure(25);
export const ETXTBSY = failure(26);
export const EFBIG = failure(27);
export const ENOSPC = failure(28);
export const ESPIPE = failure(29);
export const EROFS = failure(30);
export const EMLINK = failure(31);
export const EPIPE = failure(32);
export const EDOM = failure(33);
export const ERANGE = failure(34);
export const EDEADLK = failure(35);
export const ENAMETOOLONG = failure(36);
export const ENOLCK = failure(37);
export const ENOSYS = failure(38);
export const ENOTEMPTY = failure(39);
export const ELOOP = failure(40);
export const ENOMSG = failure(42);
export const EIDRM = failure(43);
export const ECHRNG = failure(44);
export const EL2NSYNC = failure(45);
export const EL3HLT = failure(46);
export const EL3RST = failure(47);
export const ELNRNG = failure(48);
export const EUNATCH = failure(49);
export const ENOCSI = failure(50);
export const EL2HLT = failure(51);
export const EBADE = failure(52);
export const EBADR = failure(53);
export const EXFULL = failure(54);
export const ENOANO = failure(55);
export const EBADRQC = failure(56);
export const EBADSLT = failure(57);
export const EBFONT = failure(59);
export const ENOSTR = failure(60);
export const ENODATA = failure(61);
export const ETIME = failure(62);
export const ENOSR = failure(63);
export const ENONET = failure(64);
export const ENOPKG = failure(65);
export const EREMOTE = failure(66);
export const ENOLINK = failure(67);
export const EADV = failure(68);
export const ESRMNT = failure(69);
export const ECOMM = failure(70);
export const EPROTO = failure(71);
export const EMULTIHOP = failure(72);
export const EDOTDOT = failure(73);
export const EBADMSG = failure(74);
export const EOVERFLOW = failure(75);
export const ENOTUNIQ = failure(76);
export const EBADFD = failure(77);
export const EREMCHG = failure(78);
export const ELIBACC = failure(79);
export const ELIBBAD = failure(80);
export const ELIBSCN = failure(81);
export const ELIBMAX = failure(82);
export const ELIBEXEC = failure(83);
export const EILSEQ = failure(84);
export const ERESTART = failure(85);
export const ESTRPIPE = failure(86);
export const EUSERS = failure(87);
export const ENOTSOCK = failure(88);
export const EDESTADDRREQ = failure(89);
export const EMSGSIZE = failure(90);
export const EPROTOTYPE = failure(91);
export const ENOPROTOOPT = failure(92);
export const EPROTONOSUPPORT = failure(93);
export const ESOCKTNOSUPPORT = failure(94);
export const EPFNOSUPPORT = failure(96);
export const EAFNOSUPPORT = failure(97);
export const EADDRINUSE = failure(98);
export const EADDRNOTAVAIL = failure(99);
export const ENETDOWN = failure(100);
export const ENETUNREACH = failure(101);
export const ENETRESET = failure(102);
export const ECONNABORTED = failure(103);
export const ECONNRESET = failure(104);
export const ENOBUFS = failure(105);
export const EISCONN = failure(106);
export const ENOTCONN = failure(107);
export const ESHUTDOWN = failure(108);
export const ETOOMANYREFS = failure(109);
export const ETIMEDOUT = failure(110);
export const ECONNREFUSED = failure(111);
export const EHOSTDOWN = failure(112);
export const EHOSTUNREACH = failure(113);
export const EALREADY = failure(114);
export const EINPROGRESS = failure(115);
export const ESTALE = failure(116);
export const EUCLEAN = failure(117);
export const ENOTNAM = failure(118);
export const ENAVAIL = failure(119);
export const EISNAM = failure(120);
export const EREMOTEIO = failure(121);
export const EDQUOT = failure(122);
export const ENOMEDIUM = failure(123);
export const EMEDIUMTYPE = failure(124);
export const ECANCELED = failure(125);
export const ENOKEY = failure(126);
export const EKEYEXPIRED = failure(127);
export const EKEYREVOKED = failure(128);
export const EKEYREJECTED = failure(129);
export const EOWNERDEAD = failure(130);
export const ENOTRECOVERABLE = failure(131);
export const ERFKILL = failure(132);
export const EOPNOTSUPP = failure(95);

/** Names by positive number, for strace and messages. */
export const errnoNames: ReadonlyMap<number, string> = new Map([
  [1, 'EPERM'],
  [2, 'ENOENT'],
  [3, 'ESRCH'],
  [4, 'EINTR'],
  [5, 'EIO'],
  [6, 'ENXIO'],
  [7, 'E2BIG'],
  [8, 'ENOEXEC'],
  [9, 'EBADF'],
  [10, 'ECHILD'],
  [11, 'EAGAIN'],
  [12, 'ENOMEM'],
  [13, 'EACCES'],
  [14, 'EFAULT'],
  [15, 'ENOTBLK'],
  [16, 'EBUSY'],
  [17, 'EEXIST'],
  [18, 'EXDEV'],
  [19, 'ENODEV'],
  [20, 'ENOTDIR'],
  [21, 'EISDIR'],
  [22, 'EINVAL'],
  [23, 'ENFILE'],
  [24, 'EMFILE'],
  [25, 'ENOTTY'],
  [26, 'ETXTBSY'],
  [27, 'EFBIG'],
  [28, 'ENOSPC'],
  [29, 'ESPIPE'],
  [30, 'EROFS'],
  [31, 'EMLINK'],
  [32, 'EPIPE'],
  [33, 'EDOM'],
  [34, 'ERANGE'],
  [35, 'EDEADLK'],
  [36, 'ENAMETOOLONG'],
  [37, 'ENOLCK'],
  [38, 'ENOSYS'],
  [39, 'ENOTEMPTY'],
  [40, 'ELOOP'],
  [42, 'ENOMSG'],
  [43, 'EIDRM'],
  [44, 'ECHRNG'],
  [45, 'EL2NSYNC'],
  [46, 'EL3HLT'],
  [47, 'EL3RST'],
  [48, 'ELNRNG'],
  [49, 'EUNATCH'],
  [50, 'ENOCSI'],
  [51, 'EL2HLT'],
  [52, 'EBADE'],
  [53, 'EBADR'],
  [54, 'EXFULL'],
  [55, 'ENOANO'],
  [56, 'EBADRQC'],
  [57, 'EBADSLT'],
  [59, 'EBFONT'],
  [60, 'ENOSTR'],
  [61, 'ENODATA'],
  [62, 'ETIME'],
  [63, 'ENOSR'],
  [64, 'ENONET'],
  [65, 'ENOPKG'],
  [66, 'EREMOTE'],
  [67, 'ENOLINK'],
  [68, 'EADV'],
  [69, 'ESRMNT'],
  [70, 'ECOMM'],
  [71, 'EPROTO'],
  [72, 'EMULTIHOP'],
  [73, 'EDOTDOT'],
  [74, 'EBADMSG'],
  [75, 'EOVERFLOW'],
  [76, 'ENOTUNIQ'],
  [77, 'EBADFD'],
  [78, 'EREMCHG'],
  [79, 'ELIBACC'],
  [80, 'ELIBBAD'],
  [81, 'ELIBSCN'],
  [82, 'ELIBMAX'],
  [83, 'ELIBEXEC'],
  [84, 'EILSEQ'],
  [85, 'ERESTART'],
  [86, 'ESTRPIPE'],
  [87, 'EUSERS'],
  [88, 'ENOTSOCK'],
  [89, 'EDESTADDRREQ'],
  [90, 'EMSGSIZE'],
  [91, 'EPROTOTYPE'],
  [92, 'ENOPROTOOPT'],
  [93, 'EPROTONOSUPPORT'],
  [94, 'ESOCKTNOSUPPORT'],
  [95, 'EOPNOTSUPP'],
  [96, 'EPFNOSUPPORT'],
  [97, 'EAFNOSUPPORT'],
  [98, 'EADDRINUSE'],
  [99, 'EADDRNOTAVAIL'],
  [100, 'ENETDOWN'],
  [101, 'ENETUNREACH'],
  [102, 'ENETRESET'],
  [103, 'ECONNABORTED'],
  [104, 'ECONNRESET'],
  [105, 'ENOBUFS'],
  [106, 'EISCONN'],
  [107, 'ENOTCONN'],
  [108, 'ESHUTDOWN'],
  [109, 'ETOOMANYREFS'],
  [110, 'ETIMEDOUT'],
  [111, 'ECONNREFUSED'],
  [112, 'EHOSTDOWN'],
  [113, 'EHOSTUNREACH'],
  [114, 'EALREADY'],
  [115, 'EINPROGRESS'],
  [116, 'ESTALE'],
  [117, 'EUCLEAN'],
  [118, 'ENOTNAM'],
  [119, 'ENAVAIL'],
  [120, 'EISNAM'],
  [121, 'EREMOTEIO'],
  [122, 'EDQUOT'],
  [123, 'ENOMEDIUM'],
  [124, 'EMEDIUMTYPE'],
  [125, 'ECANCELED'],
  [126, 'ENOKEY'],
  [127, 'EKEYEXPIRED'],
  [128, 'EKEYREVOKED'],
  [129, 'EKEYREJECTED'],
  [130, 'EOWNERDEAD'],
  [131, 'ENOTRECOVERABLE'],
  [132, 'ERFKILL'],
]);
