"""The command `ROOT/bin/kit` for people on a host: kit, run from its own image. Pure."""

from __future__ import annotations

import shlex

_SCRIPT = """\
#!/bin/sh
# Written by kit ship: kit on this host, run from its own image.
terminal=
if [ -t 0 ] && [ -t 1 ]; then terminal=-t; fi
socket={socket}
root={root}
case $PWD/ in
// | "$root"/*) here=$root ;;
*) here=$PWD ;;
esac
set -- {tag} "$@"
if [ "$here" != "$root" ]; then set -- -v "$here:$here" "$@"; fi
exec docker run --rm -i $terminal --pull never --network host --log-driver none \\
  --user "$(id -u):$(id -g)" --group-add "$(stat -L -c %g "$socket")" \\
  -v "$root:$root" -v "$socket:$socket" -w "$PWD" "$@"
"""


def wrapper_script(root: str, tag: str, socket: str) -> bytes:
    """Return the script for a host whose kit image bears `tag`."""
    return _SCRIPT.format(socket=shlex.quote(socket), root=shlex.quote(root), tag=shlex.quote(tag)).encode()
