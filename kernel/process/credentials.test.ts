import { describe, expect, it } from 'vitest';
import { ALL_CAPABILITIES, CAP, SECBIT, capabilityBit } from '../abi/capability.ts';
import {
  afterFsuidChange,
  afterUidChange,
  credentialsAfterExec,
  rootCredentials,
  type Credentials,
} from './credentials.ts';

const root = rootCredentials();
const user: Credentials = {
  ...root, uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000,
  permitted: 0n, effective: 0n,
}; // prettier-ignore
const become = (old: Credentials, ids: Partial<Credentials>): Credentials =>
  afterUidChange(old, { ...old, ...ids });

describe('capabilities after a change of uid', () => {
  it('are all lost when root becomes a user for good', () => {
    const { permitted, effective } = become(root, { uid: 1000, euid: 1000, suid: 1000 });
    expect([permitted, effective]).toEqual([0n, 0n]);
  });

  it('stay permitted when only the effective uid changes, and come back with it', () => {
    const away = become(root, { euid: 1000 });
    expect([away.permitted, away.effective]).toEqual([ALL_CAPABILITIES, 0n]);
    expect(become(away, { euid: 0 }).effective).toBe(ALL_CAPABILITIES);
  });

  it('stay permitted with SECBIT_KEEP_CAPS', () => {
    const keeping = { ...root, secureBits: SECBIT.KEEP_CAPS };
    const { permitted, effective } = become(keeping, { uid: 1, euid: 1, suid: 1 });
    expect([permitted, effective]).toEqual([ALL_CAPABILITIES, 0n]);
  });

  it('do not change with SECBIT_NO_SETUID_FIXUP', () => {
    const fixed = { ...root, secureBits: SECBIT.NO_SETUID_FIXUP };
    expect(become(fixed, { uid: 1, euid: 1, suid: 1 }).effective).toBe(ALL_CAPABILITIES);
  });

  it('lose and regain the file capabilities with the fsuid', () => {
    const away = afterFsuidChange(root, { ...root, fsuid: 1000 });
    expect(away.effective & capabilityBit(CAP.DAC_OVERRIDE)).toBe(0n);
    expect(away.effective & capabilityBit(CAP.KILL)).not.toBe(0n);
    expect(afterFsuidChange(away, { ...away, fsuid: 0 }).effective).toBe(ALL_CAPABILITIES);
  });
});

describe('exec', () => {
  const program = { uid: 0, gid: 0, mode: 0o755, allowsSetId: true };
  it.each([
    ['a plain program, as a user', user, program, 1000, 1000, 0n, false],
    ['a plain program, as root', root, program, 0, 0, ALL_CAPABILITIES, false],
    ['a set-uid root program', user, { ...program, mode: 0o4755 }, 0, 1000, ALL_CAPABILITIES, true],
    ['a set-gid program', user, { ...program, gid: 42, mode: 0o2755 }, 1000, 42, 0n, true],
    [
      'set-gid without group execute (mandatory locks)',
      user,
      { ...program, gid: 42, mode: 0o2745 },
      1000,
      1000,
      0n,
      false,
    ],
    [
      'set-uid on a nosuid mount',
      user,
      { ...program, mode: 0o4755, allowsSetId: false },
      1000,
      1000,
      0n,
      false,
    ],
    [
      'set-uid under no_new_privs',
      { ...user, noNewPrivs: true },
      { ...program, mode: 0o4755 },
      1000,
      1000,
      0n,
      false,
    ],
    ['a program of another user, set-uid', user, { ...program, uid: 33, mode: 0o4755 }, 33, 1000, 0n, true],
  ])('%s', (_case, old, file, euid, egid, effective, secure) => {
    const result = credentialsAfterExec(old, file);
    expect([result.now.euid, result.now.suid, result.now.fsuid]).toEqual([euid, euid, euid]);
    expect([result.now.egid, result.now.uid]).toEqual([egid, old.uid]);
    expect(result.now.effective).toBe(effective);
    expect(result.secure).toBe(secure);
  });

  it('of set-uid root cannot go beyond the bounding set', () => {
    const bounded = { ...user, bounding: capabilityBit(CAP.KILL) };
    expect(credentialsAfterExec(bounded, { ...program, mode: 0o4755 }).now.permitted).toBe(
      capabilityBit(CAP.KILL),
    );
  });

  it('keeps ambient capabilities for plain programs only', () => {
    const ambient = { ...user, ambient: capabilityBit(CAP.NET_RAW) };
    expect(credentialsAfterExec(ambient, program).now.effective).toBe(capabilityBit(CAP.NET_RAW));
    expect(credentialsAfterExec(ambient, { ...program, uid: 33, mode: 0o4755 }).now.effective).toBe(0n);
  });
});
