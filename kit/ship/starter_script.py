"""`load.sh`: what starts kit from a medium, on a host with Docker, a POSIX shell and nothing of kit. Pure.

It lies beside a bundle together with the archive of kit's image. It proves the archive by the sha256 that
stands in it, gives the engine the image unless the right one is there, and runs `kit load` in it as
`ROOT/bin/kit` does. Whoever can change the medium can change the script too: it is as good as the medium.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kit.host.agent import SOCKET
from kit.ship.wrapper_script import run_lines

SCRIPT_NAME = "load.sh"

_USAGE = """\
usage: sh load.sh [--root FOLDER] [BUNDLE] [words of kit load: --dry-run, --json, --host NAME -f kit.yaml]
  BUNDLE  a folder, a tarball or volumes; if left out, {bundle} beside this script
  --root  kit's folder on this host; if left out, {root}"""

_SCRIPT = """\
#!/bin/sh
# Written by kit {version}: loads the bundle beside it on a host that has Docker and need not have kit.
# It is as trustworthy as the medium that it lies on. Who made the bundle is checked by kit itself.
usage={usage}
bundle={bundle}
archive={archive}
sha256={sha256}
tag={tag}
ids={ids}
root={root}
socket={socket}
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
fail() {{
  code=$1
  shift
  printf 'load.sh: %s\\n' "$1" >&2
  shift
  for line; do printf '  %s\\n' "$line" >&2; done
  exit "$code"
}}
absolute() {{ case $1 in /*) printf '%s\\n' "$1" ;; *) printf '%s\\n' "${{PWD%/}}/$1" ;; esac }}

here=$(cd -P -- "$(dirname -- "$0")" && pwd) || exit 2
bundle=$here/$bundle
count=$#
while [ "$count" -gt 0 ]; do
  word=$1 count=$((count - 1))
  shift
  case $word in
  -h | --help)
    printf '%s\\n' "$usage"
    exit 0
    ;;
  --root=*) root=${{word#--root=}} ;;
  --root | --host | -f | --file | --allowed-signers)
    if [ "$count" = 0 ]; then fail 2 "$word needs a value" "$usage"; fi
    value=$1 count=$((count - 1))
    shift
    case $word in
    --root) root=$value ;;
    --host) set -- "$@" "$word" "$value" ;;
    *) set -- "$@" "$word" "$(absolute "$value")" ;;
    esac
    ;;
  -*) set -- "$@" "$word" ;;
  *) bundle=$(absolute "$word") ;;
  esac
done
case $root in /?*) root=${{root%/}} ;; *) fail 2 "--root needs the absolute path of a folder" "$usage" ;; esac

user=$(id -un)
command -v docker >/dev/null 2>&1 ||
  fail 5 "there is no docker here" "to mend it: install Docker 20.10 or newer"
if [ ! -S "$socket" ]; then
  fail 5 "no Docker engine has its socket at $socket" "to mend it: sudo systemctl start docker"
fi
docker=docker
if [ ! -w "$socket" ]; then docker='sudo docker'; fi
said=$($docker version --format '{{{{.Server.Version}}}}' 2>&1) ||
  fail 5 "no Docker engine answers $user" "$said" "to mend it: sudo systemctl start docker" \
    "or, if $user may not use it: sudo usermod -aG docker $user, then log in anew"

again="copy it again from where the bundle was made"
is_there() {{
  found=$($docker image inspect --format '{{{{.Id}}}}' "$tag" 2>/dev/null) || return 1
  case " $ids " in *" $found "*) return 0 ;; esac
  return 1
}}
if ! is_there; then
  if [ ! -f "$here/$archive" ]; then fail 3 "$here/$archive is missing" "$again"; fi
  echo "load.sh: kit's own image first: $archive" >&2
  seen=$(sha256sum <"$here/$archive") || fail 6 "$here/$archive cannot be read"
  seen=${{seen%% *}}
  if [ "$seen" != "$sha256" ]; then
    fail 3 "$here/$archive is damaged or was exchanged" "its sha256 is $seen, not $sha256" "$again"
  fi
  # Through a pipe: root, by sudo, need not be able to read this user's medium.
  $docker load -q <"$here/$archive" >/dev/null || fail 7 "docker load of kit's image failed"
  is_there || fail 3 "the engine has another image as $tag than the archive's" "to mend it: docker rmi $tag"
fi

if [ ! -d "$root" ]; then
  mkdir -p -m 700 -- "$root" 2>/dev/null || fail 5 "kit's folder $root cannot be made here by $user" \\
    "to mend it: sudo install -d -m 700 -o $user $root" "or name another folder: --root FOLDER"
fi
cd -- "$root" ||
  fail 5 "kit's folder $root is not open to $user" "run this as its owner, or name another: --root FOLDER"
set -- load "$bundle" --root "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """What a `load.sh` is made from."""

    bundle: str
    """Name of the bundle's folder, tarball or list of volumes, which lies beside the script."""
    archive: str
    """Name of the archive of kit's image, which lies there too; docker must be able to load it."""
    sha256: str
    """Of the archive, in hexadecimal."""
    tag: str
    """The image's identity tag."""
    ids: tuple[str, ...]
    """IDs under which an engine may rightly hold the image."""
    root: str
    """kit's folder on a host, unless told otherwise."""
    version: str
    """kit's own."""


def starter_script(starter: Starter) -> bytes:
    """Return the script."""
    quoted = {
        "usage": _USAGE.format(bundle=starter.bundle, root=starter.root),
        "bundle": starter.bundle,
        "archive": starter.archive,
        "sha256": starter.sha256,
        "tag": starter.tag,
        "ids": " ".join(starter.ids),
        "root": starter.root,
        "socket": SOCKET,
    }
    words = {name: shlex.quote(text) for name, text in quoted.items()}
    return (_SCRIPT.format_map({**words, "version": starter.version}) + run_lines()).encode()
