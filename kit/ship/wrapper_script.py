"""The command `ROOT/bin/kit` for people on a host: kit, run from its own image. Pure."""

from __future__ import annotations

import shlex

from kit.host.local_machine import HOST_ROOT_VARIABLE

HOME = "/home/kit"
"""Home folder in kit's image."""
HOST_ROOT = "/host"
"""Where the host's own root is in the container."""
ROOT_VARIABLE = "KIT_ROOT"
"""In the container, names kit's folder on the host: the one folder there that it may write."""

_HEAD = """\
#!/bin/sh
# Written by kit ship: kit on this host, run from its own image. `address: local` is this host: kit's commands
# for it run in this host's own root, with the rights of whoever calls, or of its owner when root calls.
socket={socket}
root={root}
tag={tag}
"""

_RUN = """\
terminal=
if [ -t 0 ] && [ -t 1 ]; then terminal=-t; fi
case $PWD/ in
// | "$root"/*) here=$root ;;
*) here=$PWD ;;
esac
uid=$(id -u) gid=$(id -g) user=$(id -un) home=$HOME groups=$(id -G)
owner=$(stat -L -c %u "$root")
# Root acts as the one whom the folder belongs to, who must read over SSH what kit writes here.
if [ "$uid" = 0 ] && [ "$owner" != 0 ]; then
  uid=$owner gid=$(stat -L -c %g "$root") user=$(stat -L -c %U "$root")
  home=$(getent passwd "$owner" | cut -d: -f6) groups=
  SSH_AUTH_SOCK=
fi
docker=docker
# Whoever is not in the engine's group asks sudo, which may want a password here, at a terminal.
if ! [ -w "$socket" ]; then docker='sudo docker'; fi
mode=rw media="
" mounted=":$root:$here:"
# Lets kit see what an absolute path names, under its own name; or in the host's root, where a folder of the
# image would be hidden otherwise.
see() {{
  seen=$1 place=$1
  [ -d "$place" ] || place=$(dirname -- "$place")
  case $mounted in *":$place:"*) return ;; esac
  case $place in
  / | /bin | /dev | /etc | /lib | /lib64 | /opt | /opt/kit* | /proc | /sbin | /sys | /usr | /usr/* | *:*)
    seen={host_root}$1
    ;;
  *)
    [ -d "$place" ] || return 0
    mounted=$mounted$place: media="$media$place
"
    ;;
  esac
}}
case ${{1-}} in load | verify | inspect | recover)
  # Media are read where they lie; loading cannot change them.
  if [ "$1" = load ]; then mode=ro; fi
  count=$#
  while [ "$count" -gt 0 ]; do
    word=$1 count=$((count - 1))
    shift
    case $word in /*) see "$word" && word=$seen ;; esac
    set -- "$@" "$word"
  done
  ;;
esac
set -- "$tag" "$@"
if [ "$here" != "$root" ]; then set -- -v "$here:$here:$mode" "$@"; fi
while IFS= read -r place; do
  if [ "$place" ]; then set -- -v "$place:$place:$mode" "$@"; fi
done <<END
$media
END
# A medium may be open to a group of the caller's alone.
for group in $groups; do set -- --group-add "$group" "$@"; done
# Keys and known hosts, for other hosts over SSH.
if [ -d "$home/.ssh" ]; then set -- -v "$home/.ssh:{home}/.ssh:ro" "$@"; fi
agent=/run/ssh-agent
if [ -S "$SSH_AUTH_SOCK" ]; then set -- -v "$SSH_AUTH_SOCK:$agent" -e "SSH_AUTH_SOCK=$agent" "$@"; fi
exec $docker run --rm -i $terminal --pull never --network host --log-driver none \\
  --user "$uid:$gid" --group-add "$(stat -L -c %g "$socket")" \\
  -e "USER=$user" -e "LOGNAME=$user" --device-cgroup-rule "c *:* rw" \\
  -v /:{host_root} -e {variable}={host_root} -e "{own}=$root" \\
  -v "$root:$root" -v "$socket:$socket" -w "$PWD" "$@"
"""


def wrapper_script(root: str, tag: str, socket: str) -> bytes:
    """Return the script for a host whose kit image bears `tag`."""
    words = {"socket": shlex.quote(socket), "root": shlex.quote(root), "tag": shlex.quote(tag)}
    return (_HEAD.format_map(words) + run_lines()).encode()


def run_lines() -> str:
    """Return the shell lines that run kit with the words in "$@", from its image $tag.

    They need $root, kit's folder, and $socket, the engine's.
    """
    return _RUN.format(home=HOME, host_root=HOST_ROOT, variable=HOST_ROOT_VARIABLE, own=ROOT_VARIABLE)
