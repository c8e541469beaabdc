"""Reaching a host: its gateways one after another, each judged and logged in to, then the host itself.

fabric connects; gateways are chosen here, since it takes `ProxyJump a,b` in the wrong order.
"""

from __future__ import annotations

import getpass
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from kit.errors import ConfigError, KitError, UnreachableError
from kit.host.known_hosts import Known, find_known, lookup_name
from kit.host.ssh_config import read_ssh_config
from kit.host.ssh_judge import Judge, OtherKeyError, Record, known_hosts_files, read_texts
from kit.host.ssh_login import METHODS, Account, LoginStrategy
from kit.host.ssh_way import Hop
from kit.host.trust import Login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.host.ssh_way import Way

CONNECT_TIMEOUT = 10
"""Seconds for each of: TCP connection, SSH greeting, opening a channel."""
LOGIN_TIMEOUT = 30
ENDING = 2.0
"""Seconds that paramiko's thread gets to notice that its connection was closed."""
_ATTEMPTS = 6
"""Connections at most: one for each kind of host key, some for hosts that hang up while somebody types."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One hop of a connection, with who judges and who logs in there."""

    connection: Any
    judge: Judge
    login: LoginStrategy

    @property
    def hop(self) -> Hop:
        """The hop as it was reached."""
        there, key = self.connection, self.judge.accepted
        if key is None:
            raise AssertionError("a hop that was never reached")
        return Hop(
            there.original_host,
            there.host,
            there.port,
            there.user,
            key,
            self.login.typed,
            self.login.one_time,
        )


class OpenWay:
    """An open connection to a host."""

    def __init__(self, legs: tuple[Leg, ...]) -> None:
        self._legs = legs
        self.hops = tuple(leg.hop for leg in legs)
        """Gateways of ProxyJump, nearest first, and the host itself at the end."""
        self.by_proxy_command = isinstance(legs[0].connection.gateway, str)
        self.settings: dict[str, Any] = legs[-1].connection.ssh_config
        """What the SSH configuration says of the host."""
        self.transport: paramiko.Transport = legs[-1].connection.transport

    def close(self) -> None:
        """End the connection and those to its gateways."""
        _close(self._legs)


def _close(legs: tuple[Leg, ...]) -> None:
    for leg in reversed(legs):
        transport = leg.connection.client.get_transport()
        if transport is not None and isinstance(transport.sock, socket.socket):
            # Wakes paramiko's thread, which otherwise looks ten times a second.
            with suppress(OSError):
                transport.sock.shutdown(socket.SHUT_RDWR)
        leg.connection.client.close()
        # paramiko does not wait for its thread. One that still decrypts when the process ends aborts it:
        # Python ends the thread, and compiled code that is not Python's cannot be unwound.
        if transport is not None and transport.is_alive() and transport is not threading.current_thread():
            transport.join(ENDING)


def reach(way: Way) -> OpenWay:
    """Connect and log in. Raises UnreachableError, ConfigError."""
    with _told(way):
        legs = legs_of(way)
        for _ in range(_ATTEMPTS):
            typed = way.secrets.typed
            try:
                legs[-1].connection.open()
                return OpenWay(legs)
            except OtherKeyError:
                _close(legs)
            except (paramiko.SSHException, OSError, EOFError) as error:
                _close(legs)
                _blame_key(legs, error)
                # A host hangs up on a login that takes too long: whatever was typed is known by now.
                if typed == way.secrets.typed:
                    _blame_login(legs, error)
                    raise
            except BaseException:
                _close(legs)
                raise
        raise paramiko.SSHException("it hung up again and again")


def _blame_key(legs: tuple[Leg, ...], error: Exception) -> None:
    """Raise the error for a changed key when a host has no other kind of key to show."""
    for leg in legs:
        if leg.judge.unfitting and leg.judge.accepted is None:
            raise leg.judge.changed(leg.judge.unfitting[0]) from error


def _blame_login(legs: tuple[Leg, ...], error: Exception) -> None:
    """Raise the error for a host that ended the connection while somebody logged in."""
    for leg in legs:
        if leg.login.at_work:
            raise leg.login.hung_up(str(error) or type(error).__name__) from error


def legs_of(way: Way) -> tuple[Leg, ...]:
    """Return the hops of a connection that is not open yet. Raises ConfigError."""
    config = read_ssh_config(way.ssh_config, _first_lines(way))
    try:
        hops = _hops(_connection(config, way.address, ()))
        return tuple(_prepared(way, hop, last=hop is hops[-1]) for hop in hops)
    except (paramiko.SSHException, ValueError, LookupError, OSError) as error:
        where = f"for {way.address}"
        why = str(error) or type(error).__name__
        raise ConfigError(
            "no SSH configuration", where=where, why=why, fix="ssh -G HOST tells more"
        ) from error


def _hops(target: Any) -> tuple[Any, ...]:
    """Return a connection behind its gateways, the nearest gateway first."""
    hops: list[Any] = []
    while isinstance(target, fabric.Connection):
        hops.insert(0, target)
        target = target.gateway
    return tuple(hops)


def _first_lines(way: Way) -> str:
    """Return what kit.yaml says of a host as the first lines of the SSH configuration, which count."""
    for key, value in (("address", way.address), ("user", way.user or "")):
        # Such a character would begin a pattern, or another line.
        if any(mark in value for mark in " \t\r\n\0\"'*?!#="):
            raise ConfigError(f"no {key}", where=f"hosts.{way.name}.{key}: {value!r}", fix="correct it")
    port = f" Port {way.port}\n" if way.port else ""
    user = f" User {way.user}\n" if way.user else ""
    return f"Host {way.address}\n{port}{user}" if port or user else ""


def _connection(config: paramiko.SSHConfig, words: str, through: tuple[str, ...], gateway: Any = None) -> Any:
    """Return a connection to `[user@]host[:port]`, with its gateways: those of ProxyJump, or `gateway`."""
    settings = fabric.Config(lazy=True, ssh_config=config)  # lazy: fabric's own files have no say here
    name = fabric.connection.derive_shorthand(words)["host"]
    own = config.lookup(name)
    hops = _gateways(own.get("proxyjump"), (*through, name))
    if gateway is None and hops:
        for hop in hops:
            gateway = _connection(config, hop, (*through, name), gateway)
    elif gateway is None:
        gateway = own.get("proxycommand")
    return fabric.Connection(
        words,
        config=settings,
        gateway=gateway or False,
        forward_agent=False,
        connect_timeout=CONNECT_TIMEOUT,
    )


def _gateways(jump: str | None, through: tuple[str, ...]) -> tuple[str, ...]:
    """Return what ProxyJump names; nothing where `Host *` would send a gateway through itself. Pure.

    Raises ValueError for a gateway without a name.
    """
    if jump is None or jump.strip().lower() == "none":
        return ()
    hops = tuple(hop.strip().removeprefix("ssh://").rstrip("/") for hop in jump.split(","))
    names = {fabric.connection.derive_shorthand(hop)["host"] for hop in hops}
    if not all(names):
        raise ValueError(f"ProxyJump {jump} names no host")
    return () if names & set(through) else hops


def _prepared(way: Way, hop: Any, *, last: bool) -> Leg:
    """Give a hop its judge, its ciphers, its timeouts and its way to log in."""
    files = known_hosts_files(way.known_hosts, hop.ssh_config)
    alias, name = hop.ssh_config.get("hostkeyalias", ""), lookup_name(hop.host, hop.port)
    found = find_known(read_texts(files), alias or name)
    if last and (way.host_key or way.fingerprint):
        pinned = Known((way.host_key,) if way.host_key else (), found.revoked, way.fingerprint)
        record = Record(pinned, f"hosts.{way.name}.host_key")
    else:
        record = Record(found, "known_hosts")
    login = Login(
        host=way.name if last else hop.original_host,
        address=hop.host,
        port=hop.port,
        known_hosts=str(files[0]) if files else "~/.ssh/known_hosts",
        known_as=alias or name,
        in_project=last,
    )
    judge, strategy = Judge(login, record), LoginStrategy(_account(way, hop, last=last), way.secrets)
    hop.client.set_missing_host_key_policy(judge)
    hop.connect_kwargs = {
        "transport_factory": judge.make_transport,
        "banner_timeout": CONNECT_TIMEOUT,
        "auth_timeout": LOGIN_TIMEOUT,
        "channel_timeout": CONNECT_TIMEOUT,
        "auth_strategy": strategy,
    }
    return Leg(hop, judge, strategy)


def _account(way: Way, hop: Any, *, last: bool) -> Account:
    settings = hop.ssh_config
    named = [Path(name).expanduser() for name in settings.get("identityfile", []) if name.lower() != "none"]
    if last and way.identity:
        named.insert(0, way.identity)
    order = str(settings.get("preferredauthentications", ",".join(METHODS))).split(",")
    switches = ("pubkeyauthentication", "kbdinteractiveauthentication", "passwordauthentication")
    off = {
        method
        for method, switch in zip(METHODS, switches, strict=True)
        if str(settings.get(switch, "yes")).lower() == "no"
    }
    return Account(
        host=way.name if last else hop.original_host,
        user=hop.user or getpass.getuser(),
        address=hop.host,
        port=hop.port,
        identities=tuple(dict.fromkeys(named)),
        named_only=str(settings.get("identitiesonly", "no")).lower() == "yes",
        methods=tuple(method for method in order if method not in off),
        in_project=last,
    )


@contextmanager
def _told(way: Way) -> Iterator[None]:
    """Turn what paramiko and the system raise while connecting into UnreachableError."""
    try:
        yield
    except KitError:
        raise
    except socket.gaierror as error:
        fix = f"correct hosts.{way.name}.address, or make the name resolve"
        raise _unreachable(way, "the name does not resolve", error, fix) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        fix = f"see that {way.address} is up, that sshd listens there, and that no firewall is between"
        raise _unreachable(way, "it does not answer over SSH", error, fix) from error


def _unreachable(way: Way, what: str, error: BaseException, fix: str) -> UnreachableError:
    port = f":{way.port}" if way.port else ""
    why = str(error) or type(error).__name__
    return UnreachableError(what, where=f"{way.name} ({way.address}{port})", why=why, fix=fix)
