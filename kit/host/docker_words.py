"""How a login reaches the engine of its host: by itself, or by sudo where that asks for no password. Pure.

A user who is not in the engine's group but may run `sudo docker` needs no more than that: kit says
`sudo -n docker` there, and only there. The agent's container still runs as the login user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.host.port import Argv

SUDO: Argv = ("sudo", "-n")
PLAIN: Argv = ("docker",)
BY_SUDO: Argv = (*SUDO, *PLAIN)

FIND_ENGINE = r"""
have() { command -v "$1" >/dev/null 2>&1; }
limited() { if have timeout; then timeout 30 "$@"; else "$@"; fi </dev/null; }
# "$@" docker version: sets version (empty when no engine answers) and engine_said.
ask_engine() {
  engine_said=$(limited "$@" docker version --format '{{.Server.Version}}' 2>&1) &&
    # Complaints come first: docker's about its own settings, sudo's about a host name.
    version=$(printf '%s\n' "$engine_said" | tail -n 1) || version=''
}
# Sets version, sudo (the words before docker), and why there is none: engine_error, sudo_error.
find_engine() {
  sudo='' engine_error='' sudo_error=''
  ask_engine
  if [ -n "$version" ]; then return; fi
  engine_error=$engine_said
  case $engine_error in *'permission denied'*) ;; *) return ;; esac
  if have sudo; then
    ask_engine sudo -n
    if [ -n "$version" ]; then sudo='sudo -n'; else sudo_error=$engine_said; fi
  fi
}
"""
"""Shell functions; after `find_engine`, `$sudo docker …` reaches the engine where one can be reached."""


def docker_words(*, by_sudo: bool) -> Argv:
    """Return the words that begin a docker command on a host."""
    return BY_SUDO if by_sudo else PLAIN
