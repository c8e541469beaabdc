"""Connecting to a port of a host through the SSH connection that is there (RFC 4254, 7.2: direct-tcpip)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import JobError, UnfitError, UnreachableError

if TYPE_CHECKING:
    import paramiko

    from kit.errors import KitError
    from kit.host.port import Passage

TIMEOUT = 10
"""Seconds that a host gets to connect to its own port."""
_PROHIBITED = 1
"""RFC 4254, 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED"""


def dial_through(host: str, transport: paramiko.Transport, address: str, port: int) -> Passage:
    """Return a connection to a port as the host itself would reach it.

    Raises JobError when nothing answers there, UnfitError when sshd forbids it, UnreachableError when the
    connection to the host is lost.
    """
    import paramiko

    try:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=TIMEOUT)
    except paramiko.ChannelException as error:
        raise _refused(host, port, error) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        if transport.is_active():
            raise silent_port(host, port, str(error)) from error
        fix = "run the same command again"
        raise UnreachableError("the connection was lost", where=host, why=str(error), fix=fix) from error


def _refused(host: str, port: int, error: paramiko.ChannelException) -> KitError:
    if error.code == _PROHIBITED:
        return UnfitError(
            "its sshd lets nobody through to a port",
            where=host,
            why=error.text,
            fix=f"AllowTcpForwarding local and PermitOpen 127.0.0.1:{port} in its sshd_config, or "
            f"bind: 0.0.0.0 in the job opens it to the intranet",
        )
    return silent_port(host, port, error.text)


def silent_port(host: str, port: int, why: str) -> JobError:
    """Return the error that nothing answers at a port of a host."""
    return JobError(f"nothing answers at port {port}", where=host, why=why, fix="kit status")
