"""The command `ROOT/bin/kit` for people on a host: kit, run from its own image. Pure."""

from __future__ import annotations

import shlex

from kit.host.local_machine import HOST_ROOT_VARIABLE

HOME = "/home/kit"
"""Home folder in kit's image."""
HOST_ROOT = "/host"
"""Where the host's own root is in the container."""

_SCRIPT = """\
#!/bin/sh
# Written by kit ship: kit on this host, run from its own image. `address: local` is this host: kit's commands
# for it run in this host's own root, with the rights of whoever calls, or of its owner when root calls.
terminal=
if [ -t 0 ] && [ -t 1 ]; then terminal=-t; fi
socket={socket}
root={root}
case $PWD/ in
// | "$root"/*) here=$root ;;
*) here=$PWD ;;
esac
set -- {tag} "$@"
uid=$(id -u) gid=$(id -g) user=$(id -un) home=$HOME
owner=$(stat -L -c %u "$root")
# Root acts as the one whom the folder belongs to, who must read over SSH what kit writes here.
if [ "$uid" = 0 ] && [ "$owner" != 0 ]; then
  uid=$owner gid=$(stat -L -c %g "$root") user=$(stat -L -c %U "$root")
  home=$(getent passwd "$owner" | cut -d: -f6)
  SSH_AUTH_SOCK=
fi
docker=docker
# Whoever is not in the engine's group asks sudo, which may want a password here, at a terminal.
if ! [ -w "$socket" ]; then docker='sudo docker'; fi
if [ "$here" != "$root" ]; then set -- -v "$here:$here" "$@"; fi
# Keys and known hosts, for other hosts over SSH.
if [ -d "$home/.ssh" ]; then set -- -v "$home/.ssh:{home}/.ssh:ro" "$@"; fi
agent=/run/ssh-agent
if [ -S "$SSH_AUTH_SOCK" ]; then set -- -v "$SSH_AUTH_SOCK:$agent" -e "SSH_AUTH_SOCK=$agent" "$@"; fi
exec $docker run --rm -i $terminal --pull never --network host --log-driver none \\
  --user "$uid:$gid" --group-add "$(stat -L -c %g "$socket")" \\
  -e "USER=$user" -e "LOGNAME=$user" --device-cgroup-rule "c *:* rw" \\
  -v /:{host_root} -e {variable}={host_root} \\
  -v "$root:$root" -v "$socket:$socket" -w "$PWD" "$@"
"""


def wrapper_script(root: str, tag: str, socket: str) -> bytes:
    """Return the script for a host whose kit image bears `tag`."""
    return _SCRIPT.format(
        socket=shlex.quote(socket),
        root=shlex.quote(root),
        tag=shlex.quote(tag),
        home=HOME,
        host_root=HOST_ROOT,
        variable=HOST_ROOT_VARIABLE,
    ).encode()
