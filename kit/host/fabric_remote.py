"""A host over SSH. fabric reads ~/.ssh/config and opens gateways; paramiko's channels carry the bytes.

Host keys are judged here alone: fabric would add unknown ones by itself, so every hop gets a policy
that compares the shown key with known_hosts (or `host_key` of kit.yaml) and refuses all others.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from kit.errors import ConfigError, KitError, UnreachableError
from kit.host.exchange import exchange, run_talk, stream_talk
from kit.host.fabric_channel import WINDOW, Channel
from kit.host.known_hosts import HostKey, Known, find_known, lookup_name
from kit.host.lane_opener import LaneOpener, Reached
from kit.host.port import Completed, ignore
from kit.host.talk_lane import TalkLane
from kit.host.trust import Login, changed_key, revoked_key, unknown_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.host.port import Argv, Lane

CONNECT_TIMEOUT = 10
"""Seconds for each of: TCP connection, SSH greeting, opening a channel."""
LOGIN_TIMEOUT = 30
KEEPALIVE = 10
DEAD_AFTER = 30
"""Seconds without an acknowledged packet after which a connection counts as lost."""
_CIPHERS = (
    # Authenticated and fastest with AES instructions first; CBC and 3DES never.
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a host, from kit.yaml and the environment."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    """None lets ~/.ssh/config decide."""
    identity: Path | None = None
    host_key: HostKey | None = None
    ssh_config: Path | None = None
    """Read in place of ~/.ssh/config and /etc/ssh/ssh_config."""
    known_hosts: Path | None = None
    """Read in place of every other known_hosts file."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A machine that a connection goes through or ends at, as it was found and proven."""

    name: str
    """What it is called by whoever names it: in kit.yaml (address), or in ProxyJump."""
    address: str
    """Where it is, after ~/.ssh/config."""
    port: int
    user: str
    key: HostKey
    """That it showed and that was on record."""


class _Judge(paramiko.MissingHostKeyPolicy):
    """Accepts a host's key when it is on record; asked for every key, since paramiko knows none."""

    def __init__(self, login: Login, known: Known, source: str) -> None:
        self._login = login
        self._known = known
        self._source = source
        self.accepted: HostKey | None = None

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client, hostname
        shown = HostKey(key.get_name(), key.asbytes())
        if shown in self._known.revoked:
            raise revoked_key(self._login, shown)
        if not self._known.keys:
            raise unknown_key(self._login, shown)
        if shown not in self._known.keys:
            raise changed_key(self._login, shown, self._known, self._source)
        self.accepted = shown


def _transport_factory(known: Known) -> Callable[..., paramiko.Transport]:
    """Return what makes a connection that asks for the kinds of key on record first, as ssh does."""
    kinds = [kind for key in known.keys for kind in (_RSA if key.kind == "ssh-rsa" else (key.kind,))]

    def make(sock: Any, **more: Any) -> paramiko.Transport:
        if isinstance(sock, socket.socket):
            _tune(sock)
        transport = paramiko.Transport(sock, default_window_size=WINDOW, **more)
        options = transport.get_security_options()
        options.ciphers = [cipher for cipher in _CIPHERS if cipher in options.ciphers]
        first = [kind for kind in kinds if kind in options.key_types]
        options.key_types = first + [kind for kind in options.key_types if kind not in first]
        return transport

    return make


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Without it a cut cable is noticed after some 15 minutes.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)


def _ssh_config(way: Way) -> paramiko.SSHConfig:
    if way.ssh_config is not None and not way.ssh_config.is_file():
        raise ConfigError("no such file", where=str(way.ssh_config), fix="correct KIT_SSH_CONFIG")
    usual = (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config"))
    config = paramiko.SSHConfig()
    for path in (way.ssh_config,) if way.ssh_config else usual:
        if path.is_file():
            _parse_ssh_config(config, path)
    return config


def _parse_ssh_config(config: paramiko.SSHConfig, path: Path) -> None:
    try:
        with path.open(encoding="utf-8") as file:
            config.parse(file)
    except (paramiko.SSHException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "no SSH configuration", where=str(path), why=str(error), fix="ssh -G HOST tells more"
        ) from error


def _known_hosts_files(way: Way, ssh_config: dict[str, Any]) -> tuple[Path, ...]:
    if way.known_hosts is not None:
        return (way.known_hosts,)
    named = str(ssh_config.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")).split()
    shared = str(ssh_config.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts")).split()
    return tuple(Path(name).expanduser() for name in (*named, *shared) if name != "none")


def _read_texts(paths: tuple[Path, ...]) -> tuple[str, ...]:
    texts = []
    for path in paths:
        with suppress(FileNotFoundError):
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(texts)


def _hops(connection: Any) -> tuple[Any, ...]:
    """Return the connection behind its gateways, nearest gateway first."""
    hops: list[Any] = []
    current = connection
    while isinstance(current, fabric.Connection):
        hops.insert(0, current)
        current = current.gateway
    return tuple(hops)


def _prepare(way: Way, hop: Any, *, last: bool, direct: bool) -> _Judge:
    """Give one hop its judge, its ciphers and its timeouts; return the judge."""
    files = _known_hosts_files(way, hop.ssh_config)
    alias, name = hop.ssh_config.get("hostkeyalias", ""), lookup_name(hop.host, hop.port)
    if last and way.host_key is not None:
        known, source = Known((way.host_key,)), f"hosts.{way.name}.host_key"
    else:
        known, source = find_known(_read_texts(files), alias or name), "known_hosts"
    known_as = alias or ("" if direct else name)
    login = Login(way.name if last else hop.original_host, hop.host, hop.port, str(files[0]), known_as)
    judge = _Judge(login, known, source)
    hop.client.set_missing_host_key_policy(judge)
    hop.connect_timeout = CONNECT_TIMEOUT
    alone = str(hop.ssh_config.get("identitiesonly", "no")).lower() == "yes"
    hop.connect_kwargs = {
        **hop.connect_kwargs,
        "transport_factory": _transport_factory(known),
        "banner_timeout": CONNECT_TIMEOUT,
        "auth_timeout": LOGIN_TIMEOUT,
        "channel_timeout": CONNECT_TIMEOUT,
        "allow_agent": not alone,
        "look_for_keys": not alone and way.identity is None,
    }
    return judge


def _connection(way: Way) -> tuple[Any, tuple[_Judge, ...]]:
    """Return a connection that is not open yet, and the judge of each of its hops."""
    # lazy: fabric's own configuration files have no say here.
    config = fabric.Config(lazy=True, ssh_config=_ssh_config(way))
    kwargs = {"key_filename": [str(way.identity)]} if way.identity else {}
    connection = fabric.Connection(
        way.address, user=way.user, port=way.port, config=config, connect_kwargs=kwargs, forward_agent=False
    )
    hops = _hops(connection)
    proxied = isinstance(hops[0].gateway, str)
    judges = tuple(
        _prepare(way, hop, last=hop is connection, direct=place == 0 and not proxied)
        for place, hop in enumerate(hops)
    )
    return connection, judges


@contextmanager
def _reaching(way: Way) -> Iterator[None]:
    """Turn what paramiko and the system raise while connecting into UnreachableError."""
    try:
        yield
    except KitError:
        raise
    except paramiko.PasswordRequiredException as error:
        raise _unreachable(
            way, "the private key is locked with a passphrase", error, "ssh-add the key first"
        ) from error
    except paramiko.AuthenticationException as error:
        fix = f"put your public key there (ssh-copy-id), or name user and identity in hosts.{way.name}"
        raise _unreachable(way, "the login was refused", error, fix) from error
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


class FabricRemote:
    """A machine over SSH, behind the Host protocol."""

    def __init__(self, way: Way) -> None:
        """Connect. Raises UnreachableError, ConfigError."""
        self._way = way
        self._lanes = LaneOpener(way.name, self._reached, self)
        with _reaching(way):
            self._connection, self._judges = _connection(way)
            try:
                self._connection.open()
            except BaseException:
                self.close()
                raise
            self._transport: paramiko.Transport = self._connection.transport
            self._transport.set_keepalive(KEEPALIVE)

    @property
    def name(self) -> str:
        """Its name in kit.yaml."""
        return self._way.name

    @property
    def way(self) -> Way:
        """How it was to be reached."""
        return self._way

    @property
    def hops(self) -> tuple[Hop, ...]:
        """How it was reached: gateways of ProxyJump, nearest first, and the host itself at the end."""
        return tuple(
            Hop(hop.original_host, hop.host, hop.port, hop.user, judge.accepted)
            for hop, judge in zip(_hops(self._connection), self._judges, strict=True)
            if judge.accepted is not None
        )

    @property
    def verified_key(self) -> HostKey:
        """The host's own key, which it showed and which was on record."""
        return self.hops[-1].key

    def _talk(self, argv: Argv) -> Channel:
        return Channel(self._way.name, self._transport, argv)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command and return what it said."""
        return run_talk(self.name, self._talk(argv), stdin, timeout)

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        """Run a command, feeding `chunks` while `on_line` gets each line."""
        return stream_talk(self.name, self._talk(argv), chunks, on_line)

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        """Run a command and hand its raw output to `sink`."""
        status, errors = exchange(self._talk(argv), (stdin,) if stdin else (), sink)
        return Completed(status, b"", errors)

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> Lane:
        """Start a command over a connection of its own."""
        return self._lanes.open(argv, aes_there=aes, note=note)

    def _reached(self) -> Reached:
        first = _hops(self._connection)[0]
        return Reached(
            hops=self.hops,
            identity=self._way.identity,
            ssh_config=self._way.ssh_config,
            own_proxy=isinstance(first.gateway, str),
            own_ciphers="ciphers" in self._connection.ssh_config,
            connect_timeout=CONNECT_TIMEOUT,
            keepalive=KEEPALIVE,
        )

    def separate_lane(self, argv: Argv) -> Lane:
        """Start a command over another connection of paramiko's."""
        other = FabricRemote(self._way)
        return TalkLane(self.name, other._talk(argv), other.close)

    def shared_lane(self, argv: Argv) -> Lane:
        """Start a command over this connection, beside whatever else runs."""
        return TalkLane(self.name, self._talk(argv))

    def close(self) -> None:
        """End the connection and those to its gateways, and the lanes."""
        self._lanes.close()
        for hop in reversed(_hops(self._connection)):
            hop.client.close()
