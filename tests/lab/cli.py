"""`python3 -m tests.lab`: the intranet on one machine, to try kit by hand and for the tests."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tests.lab import intranet as whole
from tests.lab import links
from tests.lab.disk import empty, fill
from tests.lab.engine import change_settings, start_engine, stop_engine, wait_for_engine
from tests.lab.errors import LabError
from tests.lab.namespaces import enter
from tests.lab.online import engine_down, engine_up
from tests.lab.packages import install_packages
from tests.lab.privileges import become_root
from tests.lab.roots import ENGINES, ready_root
from tests.lab.shaping import full_speed, parse_shape, slow
from tests.lab.sink import sink_counts, sink_down, sink_up
from tests.lab.state import existing_intranet, lab_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.lab.state import LabHost

DEFAULT_HOSTS = 2


def _wanted(arguments: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    named = tuple(word.partition(":") for word in arguments.host)
    if named:
        return tuple((name, engine or whole.DEFAULT_ENGINE) for name, _, engine in named)
    count = arguments.hosts or DEFAULT_HOSTS
    return tuple((f"gpu{number}", whole.DEFAULT_ENGINE) for number in range(1, count + 1))


def _setup(_: argparse.Namespace) -> None:
    install_packages()
    ready_root(lab_folders(), whole.DEFAULT_ENGINE)


def _up(arguments: argparse.Namespace) -> None:
    folders = lab_folders()
    install_packages()
    intranet = whole.up(folders, _wanted(arguments), arguments.disk)
    for host in intranet.hosts:
        print(f"{host.name}\t{intranet.address(host.name)}\tengine {host.engine}")
    print(f"ssh -F {folders.ssh_config} {intranet.hosts[0].name}")


def _down(arguments: argparse.Namespace) -> None:
    if arguments.names:
        whole.down_hosts(lab_folders(), tuple(arguments.names), purge=arguments.purge)
        return
    engine_down(lab_folders())
    whole.down(lab_folders(), purge=arguments.purge)


def _status(arguments: argparse.Namespace) -> None:
    rows = whole.status(lab_folders())
    if arguments.json:
        print(json.dumps(rows))
        return
    columns = ("host", "address", "kind", "state", "engine", "store", "compose", "link")
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        print("".join(f"{row.get(column, ''):<16}" for column in columns).rstrip())


def _exec(arguments: argparse.Namespace) -> None:
    words = tuple(arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command)
    argv = enter(arguments.name, words or ("bash", "-l"), arguments.user)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _host(arguments: argparse.Namespace) -> LabHost:
    return existing_intranet(lab_folders()).host(arguments.name)


def _restore(arguments: argparse.Namespace) -> None:
    full_speed(lab_folders(), _host(arguments))


def _slow(arguments: argparse.Namespace) -> None:
    shape = parse_shape(arguments.rate, arguments.delay, arguments.loss)
    slow(lab_folders(), _host(arguments), shape)
    cut = ", offloads off" if shape.cuts_frames else ""
    print(f"{arguments.name}: {shape}; TCP cubic on both ends{cut}", file=sys.stderr)


def _fill(arguments: argparse.Namespace) -> None:
    host = _host(arguments)
    left = empty(host) if arguments.leave is None else fill(host, arguments.leave)
    print(f"{host.name}: {left / 1e6:.1f} MB free", file=sys.stderr)


def _sink(arguments: argparse.Namespace) -> None:
    intranet = existing_intranet(lab_folders())
    hosts = tuple(intranet.host(name) for name in arguments.names) or intranet.hosts
    if arguments.action == "up":
        sink_up(lab_folders(), intranet, hosts)
    elif arguments.action == "down":
        sink_down(intranet)
    else:
        print(json.dumps(sink_counts()))


def _engine_start(arguments: argparse.Namespace) -> None:
    host = _host(arguments)
    start_engine(lab_folders(), host)
    wait_for_engine(host.name)


def _engine_set(arguments: argparse.Namespace) -> None:
    host = _host(arguments)
    settings: dict[str, Any] = json.loads(arguments.settings)
    change_settings(lab_folders(), host, settings)
    stop_engine(host.name)
    start_engine(lab_folders(), host)
    wait_for_engine(host.name)


def _engine_up(_: argparse.Namespace) -> None:
    install_packages()
    print(f"export DOCKER_HOST={engine_up(lab_folders())}")


VERBS: Mapping[str, tuple[str, Callable[[argparse.Namespace], None]]] = {
    "setup": (
        "install the packages that the lab needs (apt), make the root folder of the default engine",
        _setup,
    ),
    "up": ("start hosts, or mend those that do not run", _up),
    "down": ("stop everything, whatever state it is in", _down),
    "status": ("what runs, with the versions that the hosts themselves tell", _status),
    "exec": ("run a command inside a host: exec HOST -- CMD …", _exec),
    "cut": ("pull a host's plug", lambda arguments: links.cut(_host(arguments))),
    "restore": ("plug a host in again, at full speed", _restore),
    "slow": ("limit a host's link: --rate 1gbit --delay 88ms --loss 0.1%%", _slow),
    "fill": ("fill a host's own disk, but for --leave MB; without it, empty the disk again", _fill),
    "sink": ("up, read, down: a way out for hosts that ends in counters", _sink),
    "engine-stop": ("stop a host's Docker engine", lambda arguments: stop_engine(_host(arguments).name)),
    "engine-start": ("start a host's Docker engine", _engine_start),
    "engine-set": ("add daemon.json keys to a host's engine and start it again", _engine_set),
    "engine-up": ("start the online machine's private Docker engine", _engine_up),
    "engine-down": ("stop the online machine's private engine", lambda _: engine_down(lab_folders())),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of every lab command."""
    top = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = {verb: verbs.add_parser(verb, help=text) for verb, (text, _) in VERBS.items()}
    for verb in ("exec", "cut", "restore", "slow", "fill", "engine-stop", "engine-start", "engine-set"):
        made[verb].add_argument("name", metavar="HOST")
    made["up"].add_argument(
        "--hosts", type=int, default=0, help=f"how many, all with engine {whole.DEFAULT_ENGINE}"
    )
    engines = ", ".join(ENGINES)
    made["up"].add_argument(
        "--host", action="append", default=[], metavar="NAME[:ENGINE]", help=f"engines: {engines}"
    )
    made["up"].add_argument(
        "--disk", default="", help="give each new host a disk of this size for /aisys, like 2G"
    )
    made["down"].add_argument("names", nargs="*", metavar="HOST", help="these alone; default: everything")
    made["down"].add_argument("--purge", action="store_true", help="forget the hosts' data, too")
    made["status"].add_argument("--json", action="store_true")
    made["exec"].add_argument("--user", default="root")
    made["exec"].add_argument("command", nargs=argparse.REMAINDER)
    made["engine-set"].add_argument("settings", metavar="JSON")
    made["slow"].add_argument("--rate", default="", help="each way, such as 100mbit or 1gbit")
    made["slow"].add_argument("--delay", default="", help="added to the round trip, such as 88ms")
    made["slow"].add_argument("--loss", default="", help="each way, such as 0.1%%")
    made["fill"].add_argument("--leave", type=int, metavar="MB")
    made["sink"].add_argument("action", choices=("up", "read", "down"))
    made["sink"].add_argument(
        "names", nargs="*", metavar="HOST", help="who gets the way out (up); default: all"
    )
    return top


def main(words: tuple[str, ...]) -> int:
    """Run one lab command; return its exit status."""
    arguments = parser().parse_args(words)
    try:
        become_root(words)
        VERBS[arguments.verb][1](arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_status
    return 0
