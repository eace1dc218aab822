/** /etc/passwd, group and shadow: Debian's master copies (package base-passwd) with the recipe's users added. */
import type { User } from './recipe.ts';

/** Days since 1970 of the last change of a password; any fixed day will do. */
const LAST_CHANGE_DAYS = 19_700;

export interface Accounts {
  readonly passwd: string;
  readonly group: string;
  readonly shadow: string;
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
}

export function accountsOf(passwdMaster: string, groupMaster: string, users: readonly User[]): Accounts {
  const own = new Map(users.map((user) => [user.name, user]));
  const accounts = lines(passwdMaster).filter(([name = '']) => !own.has(name));
  const groups = lines(groupMaster).map(([name = '', , gid = '']) => {
    const members = users.filter((user) => user.groups.includes(name)).map((user) => user.name);
    return `${name}:x:${gid}:${members.join(',')}`;
  });
  const groupNames = new Set(lines(groupMaster).map(([name]) => name));
  for (const user of users) {
    for (const group of user.groups) {
      if (!groupNames.has(group))
        throw new Error(`The user ${user.name} is in the group ${group}, which does not exist.`);
    }
    if (!groupNames.has(user.name)) groups.push(`${user.name}:x:${user.gid}:`);
  }
  const userLine = (user: User) =>
    [user.name, 'x', user.uid, user.gid, user.comment, user.home, user.shell].join(':');
  const root = users.filter((user) => user.uid === 0);
  const others = users.filter((user) => user.uid !== 0);
  const shadowLine = (name: string, hash: string) => `${name}:${hash}:${LAST_CHANGE_DAYS}:0:99999:7:::`;
  return {
    passwd: text([
      ...root.map(userLine),
      ...accounts.map(([name, , ...rest]) => [name, 'x', ...rest].join(':')),
      ...others.map(userLine),
    ]),
    group: text(groups),
    shadow: text([
      ...root.map((user) => shadowLine(user.name, user.passwordHash)),
      ...accounts.map(([name = '']) => shadowLine(name, '*')),
      ...others.map((user) => shadowLine(user.name, user.passwordHash)),
    ]),
  };
}

function text(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
