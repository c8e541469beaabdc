"""Logging in as people do: passwords, locked keys, agents, gateways, other ports, sudo, fingerprints.

Every secret that is typed here is looked for afterwards wherever it must not be.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.people import configure, kit, run, surroundings, typing
from tests.e2e.ship_stage import ROOT, Stage, standing_stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOSTS = (("near", "20.10"), ("far", "20.10"))
PASSWORD = "c0rrect-h0rse-battery"
PASSPHRASE = "staple-0f-the-key"
# pat logs in by password, dev and sam by key; dev may call docker by sudo alone, sam's sudo wants a password.
USERS = f"""set -eu
useradd --create-home --shell /bin/bash --groups docker pat
useradd --create-home --shell /bin/bash dev
useradd --create-home --shell /bin/bash sam
printf 'pat:{PASSWORD}\\nsam:{PASSWORD}\\n' | chpasswd
usermod -p '*' dev
for user in dev sam; do
  install -d -m 700 -o $user -g $user /home/$user/.ssh
  install -m 600 -o $user -g $user /home/ops/.ssh/authorized_keys /home/$user/.ssh/
done
echo 'dev ALL=(root) NOPASSWD: /usr/bin/docker, /usr/bin/docker-compose' >/etc/sudoers.d/dev
echo 'sam ALL=(root) ALL' >/etc/sudoers.d/sam
# As newer releases of sudo have it from the start.
echo 'Defaults use_pty' >/etc/sudoers.d/pty
cat >/etc/ssh/sshd_config.d/a-logins.conf
pkill -HUP -o sshd
sleep 1
"""
# What stands first counts, before the lab's own file.
NEAR = b"Port 22\nPort 2222\nPasswordAuthentication yes\n"
FAR = b"UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n"


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("logins")
    with standing_stage(docker_host, folder, "logintest", HOSTS) as made:
        for (host, _), settings in zip(HOSTS, (NEAR, FAR), strict=True):
            made.lab.exec(host, ("sh", "-c", USERS), stdin=settings)
        yield made


@pytest.fixture(scope="module")
def bundle(stage: Stage) -> Path:
    return stage.pack("logins")


@pytest.fixture
def home(stage: Stage, tmp_path: Path) -> Path:
    """A home folder whose SSH configuration names no key, and knows the lab's hosts."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    known = stage.lab.known_hosts.read_text()
    address = stage.lab.address("near")
    key = next(line.split(" ", 1)[1] for line in known.splitlines() if address in line)
    (tmp_path / ".ssh/known_hosts").write_text(f"{known}[{address}]:2222 {key}\n")
    return tmp_path


def definition_for(stage: Stage, user: str, **spec: Any) -> Path:
    return stage.definition("near", user=user, **{"root": f"/aisys/kit-of-{user}", **spec})


def not_private(stage: Stage, user: str) -> str:
    """Return what a shipment left that is another user's, and folders that others may look into."""
    root = f"/aisys/kit-of-{user}"
    return stage.sh("near", f"find {root} -not -user {user}; find {root} -type d -not -perm 700", user="root")


def said_anywhere(stage: Stage, secret: str, *folders: Path) -> list[str]:
    """Return where a secret can be read: processes and their environments, files of hosts, folders here."""
    look = "ps axww -o args; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; true"
    found = ["a process here"] if secret in _said(("sh", "-c", look)) else []
    for host, _ in HOSTS:
        if secret in stage.lab.exec(host, ("sh", "-c", look)):
            found.append(f"a process on {host}")
        script = "grep -rlF -f - /aisys /var/log /tmp /home /root 2>/dev/null; true"
        found += stage.lab.exec(host, ("sh", "-c", script), stdin=secret.encode()).split()
    for folder in folders:
        found += _said(("grep", "-rlF", "-f", "-", str(folder)), secret).split()
    return found


def _said(argv: tuple[str, ...], stdin: str = "") -> str:
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def test_a_password_typed_once_ships_everything_to_another_port(
    stage: Stage, bundle: Path, home: Path
) -> None:
    configure(home, "")
    outputs = home / "outputs"
    outputs.mkdir()
    definition = definition_for(stage, "pat", port=2222)
    env = surroundings(home, XDG_STATE_HOME=str(home / "state"))
    with typing(kit("ship", definition, "--json", "-b", str(bundle)), env, outputs) as terminal:
        terminal.expect(f"near: password of pat@{stage.lab.address('near')}:2222:")
        terminal.type(PASSWORD)
        # At work, with the secret in its memory.
        while not stage.sh("near", "ls /aisys/kit-of-pat/partial 2>/dev/null; true", user="root"):
            assert terminal.process.poll() is None, (outputs / "stderr").read_text()
        assert said_anywhere(stage, PASSWORD, outputs) == []
        assert terminal.end() == 0
        assert terminal.shown.count("password of") == 1
        assert PASSWORD not in terminal.shown
    assert json.loads((outputs / "stdout").read_text())["hosts"][0]["images"]
    assert said_anywhere(stage, PASSWORD, home) == []
    assert not_private(stage, "pat") == ""


def test_two_hosts_are_asked_for_one_after_the_other_and_a_wrong_answer_again(
    stage: Stage, home: Path
) -> None:
    configure(home, "")
    definition = stage.definition("near", "far", user="pat", root="/aisys/kit-of-pat")
    with typing(kit("check", definition), surroundings(home)) as terminal:
        for answer in ("wrong", PASSWORD, PASSWORD):
            terminal.expect("password of pat@")
            terminal.type(answer)
        terminal.end()
        assert [terminal.shown.count(f"{host}: password of") for host in ("near", "far")] in ([1, 2], [2, 1])
        assert terminal.shown.count("that was refused; ") == 1
        assert "near  ok" in terminal.shown
        assert "far   ok" in terminal.shown
        assert PASSWORD not in terminal.shown


def test_without_a_terminal_nobody_is_asked(stage: Stage, home: Path) -> None:
    configure(home, "")
    done = run(
        kit("ship", definition_for(stage, "pat"), "--json", "-b", "nowhere", "--dry-run"), surroundings(home)
    )
    assert done.returncode == 2
    done = run(kit("check", definition_for(stage, "pat"), "--json"), surroundings(home))
    assert done.returncode == 4
    finding = json.loads(done.stdout)["findings"][0]
    assert "it takes publickey, password" in finding["text"]
    assert "at a terminal" in finding["fix"]


def test_ctrl_c_at_the_prompt_ends_cleanly(stage: Stage, home: Path) -> None:
    configure(home, "")
    with typing(kit("check", definition_for(stage, "pat")), surroundings(home)) as terminal:
        terminal.expect("password of pat@")
        while terminal.echoes:
            pass
        terminal.press(b"\x03")
        assert terminal.end(20) == 130
        assert terminal.echoes
        terminal.expect("\r\nkit: interrupted")
        assert "Traceback" not in terminal.shown


@pytest.fixture
def locked_key(stage: Stage, home: Path) -> Path:
    """A key of dev's with a passphrase."""
    path = home / ".ssh/locked"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", str(path)), check=True)
    public = path.with_suffix(".pub").read_bytes()
    stage.lab.exec("near", ("sh", "-c", "cat >>/home/dev/.ssh/authorized_keys"), stdin=public)
    configure(home, f"Host *\n IdentityFile {path}")
    return path


def test_a_locked_key_is_unlocked_at_the_prompt(
    stage: Stage, bundle: Path, home: Path, locked_key: Path
) -> None:
    definition = definition_for(stage, "dev", root="/aisys/kit-of-a-locked-key")
    with typing(kit("ship", definition, "-b", str(bundle)), surroundings(home)) as terminal:
        terminal.expect(f"passphrase of {locked_key}, to log in to near")
        terminal.type(PASSPHRASE)
        assert terminal.end() == 0
    assert said_anywhere(stage, PASSPHRASE, home) == []


@pytest.fixture
def agent(home: Path, locked_key: Path) -> Iterator[dict[str, str]]:
    """An ssh-agent that holds the locked key; the environment that leads to it."""
    socket = str(home / "agent")
    process = subprocess.Popen(("ssh-agent", "-D", "-a", socket), stdout=subprocess.DEVNULL)
    (home / "answer").write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    (home / "answer").chmod(0o700)
    try:
        while not Path(socket).exists():
            assert process.poll() is None
        asking = {"SSH_ASKPASS": str(home / "answer"), "SSH_ASKPASS_REQUIRE": "force"}
        env = {**os.environ, "SSH_AUTH_SOCK": socket, **asking}
        subprocess.run(("ssh-add", "-q", str(locked_key)), check=True, env=env)
        yield {"SSH_AUTH_SOCK": socket}
    finally:
        process.kill()
        process.wait()


def test_an_agent_spares_the_typing_and_sudo_carries_a_whole_shipment(
    stage: Stage, bundle: Path, home: Path, agent: dict[str, str]
) -> None:
    definition, env = definition_for(stage, "dev"), surroundings(home, **agent)
    done = run(kit("ship", definition, "-b", str(bundle), "--json"), env)
    assert done.returncode == 0
    assert "paramiko" not in done.stderr
    assert json.loads(done.stdout)["hosts"][0]["images"]
    assert not_private(stage, "dev") == ""
    again = json.loads(run(kit("ship", definition, "-b", str(bundle), "--json"), env).stdout)
    assert again["hosts"][0]["loaded"] == []
    shown = run(kit("check", definition, "-b", str(bundle)), env).stdout
    assert "answers, to sudo -n docker" in shown


def test_a_job_is_started_watched_and_ended_by_sudo(
    stage: Stage, bundle: Path, home: Path, agent: dict[str, str]
) -> None:
    definition, env = definition_for(stage, "dev"), surroundings(home, **agent)
    assert run(kit("ship", definition, "-b", str(bundle)), env).returncode == 0
    # The stand-in for a train image cannot train, and says so.
    assert run(kit("up", definition, "train"), env).returncode == 8
    assert run(kit("status", definition), env).returncode == 0
    assert run(kit("down", definition, "--all"), env).returncode == 0
    assert stage.sh("near", "docker ps -aq", user="root") == ""
    assert not_private(stage, "dev") == ""


# What stands for a training: it says something, leaves an adapter, and ends, or goes on for long.
PROGRAM = """#!/bin/sh
echo "it learns as $(busybox id -u)"
echo weights >/kit/run/out/adapter_model.safetensors
[ "$LONG" != 1 ] || exec busybox sleep 600
"""


def test_logs_artifact_and_end_of_a_job_come_through_sudo(
    stage: Stage, home: Path, agent: dict[str, str]
) -> None:
    bundle, env = stage.pack("learns", program=PROGRAM), surroundings(home, **agent)
    definition = definition_for(stage, "dev", root="/aisys/kit-of-dev-learns")

    def said(verb: str, *words: str) -> Any:
        done = run((*kit(verb, definition)[:4], *words, "--file", str(definition), "--json"), env)
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout)

    said("ship", "-b", str(bundle))
    up = said("up", "train", "-b", str(bundle))
    assert (up["state"], up["made_files"]) == ("done", 1)
    uid = stage.sh("near", "id -u dev")
    assert [line["text"] for line in said("logs", "train")["lines"]] == [f"it learns as {uid}"]
    found = said("collect", "train", "-o", str(home / "collected"))
    assert (home / "collected/out/adapter_model.safetensors").read_text() == "weights\n", found

    document = yaml.safe_load(definition.read_text())
    document["jobs"]["train"]["env"] = {"LONG": "1"}
    definition.write_text(yaml.safe_dump(document))
    said("up", "train", "-b", str(bundle), "--detach")
    assert stage.sh("near", "docker ps -q", user="root") != ""
    assert [line["text"] for line in said("logs", "train", "--tail", "1")["lines"]] == [f"it learns as {uid}"]
    said("down", "train")
    assert stage.sh("near", "docker ps -aq", user="root") == ""
    (newest,) = said("status")["runs"]
    assert newest["state"] == "stopped"
    owned = (
        "find /aisys/kit-of-dev-learns -not -user dev; sudo -u dev docker ps >/dev/null 2>&1 && echo allowed"
    )
    assert stage.sh("near", f"{owned}; true", user="root") == ""


def test_a_sudo_that_wants_a_password_is_refused_with_the_remedy(
    stage: Stage, bundle: Path, home: Path
) -> None:
    configure(home, f"IdentityFile {stage.lab.key}")
    done = run(kit("ship", definition_for(stage, "sam"), "-b", str(bundle)), surroundings(home))
    assert done.returncode == 5
    assert "a password is required" in done.stderr
    assert "sam ALL=(root) NOPASSWD: /usr/bin/docker" in done.stderr
    assert stage.sh("near", "ls -d /aisys/kit-of-sam 2>/dev/null; true", user="root") == ""


def test_a_host_behind_a_gateway_is_shipped_to(stage: Stage, bundle: Path, home: Path) -> None:
    near, far, here = stage.lab.address("near"), stage.lab.address("far"), stage.lab.machine_address
    (home / ".ssh/more").write_text(f"Host inner\n HostName {far}\n ProxyJump edge\n HostKeyAlias {far}\n")
    edge = f"Host edge\n HostName {near}\n Port 2222\n User ops"
    configure(home, f"Include {home}/.ssh/more\nIdentityFile {stage.lab.key}\n{edge}")
    document = yaml.safe_load(stage.definition("far").read_text())
    document["hosts"]["far"]["address"] = "inner"
    definition = home / "kit.yaml"
    definition.write_text(yaml.safe_dump(document))
    stage.lab.exec("far", ("iptables", "-I", "INPUT", "-s", here, "-p", "tcp", "--dport", "22", "-j", "DROP"))
    try:
        done = run(kit("ship", definition, "-b", str(bundle), "--json"), surroundings(home))
        assert done.returncode == 0
        assert "paramiko" not in done.stderr
    finally:
        stage.lab.exec("far", ("iptables", "-D", "INPUT", "1"))
    assert stage.sh("far", f"stat -c '%U %a' {ROOT}") == "ops 700"
    (home / ".ssh/known_hosts").write_text("")
    unknown = run(kit("check", definition, "--json"), surroundings(home))
    finding = json.loads(unknown.stdout)["findings"][0]
    assert unknown.returncode == 4
    assert f"echo '[{near}]:2222 ssh-ed25519 " in finding["fix"]
    assert "kit.yaml" not in finding["fix"]


def shown_fingerprint(stage: Stage, host: str) -> str:
    return stage.lab.exec(host, ("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub")).split()[1]


def test_a_fingerprint_in_kit_yaml_is_trust_enough_to_ship(stage: Stage, bundle: Path, home: Path) -> None:
    configure(home, f"IdentityFile {stage.lab.key}")
    (home / ".ssh/known_hosts").write_text("")
    env = surroundings(home)
    right = stage.definition("near", host_key=shown_fingerprint(stage, "near"))
    done = run(kit("ship", right, "-b", str(bundle), "--json"), env)
    assert done.returncode == 0
    assert "paramiko" not in done.stderr
    wrong = stage.definition("near", host_key=shown_fingerprint(stage, "far"))
    for verb in ("ship", "check"):
        done = run(kit(verb, wrong, "-b", str(bundle)), env)
        assert done.returncode == 4
        said = done.stderr + done.stdout
        assert "CHANGED" in said
        assert shown_fingerprint(stage, "near") in said
    assert (home / ".ssh/known_hosts").read_text() == ""


def test_an_agent_with_more_keys_than_a_host_lets_one_try_is_told_so(stage: Stage, home: Path) -> None:
    keys = [home / f".ssh/key-{number}" for number in range(8)]
    for key in keys:
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    configure(home, "".join(f"IdentityFile {key}\n" for key in keys))
    done = run(kit("check", definition_for(stage, "ops"), "--json"), surroundings(home))
    finding = json.loads(done.stdout)["findings"][0]
    assert done.returncode == 4
    assert "it hung up in the middle of the login" in finding["text"]
    assert "IdentitiesOnly" in finding["fix"]


def test_root_ships_to_a_folder_of_its_own(stage: Stage, bundle: Path, home: Path) -> None:
    configure(home, f"IdentityFile {stage.lab.key}")
    done = run(kit("ship", definition_for(stage, "root"), "-b", str(bundle)), surroundings(home))
    assert done.returncode == 0
    assert not_private(stage, "root") == ""


def test_a_host_that_hangs_up_while_somebody_types_is_asked_anew(stage: Stage, home: Path) -> None:
    configure(home, "")
    hurry = "echo 'LoginGraceTime 2' >/etc/ssh/sshd_config.d/a-hurry.conf; pkill -HUP -o sshd; sleep 1"
    stage.lab.exec("near", ("sh", "-c", hurry))
    try:
        with typing(kit("check", definition_for(stage, "pat")), surroundings(home)) as terminal:
            terminal.expect("password of pat@")
            time.sleep(4)
            terminal.type(PASSWORD)
            terminal.end()
            assert terminal.shown.count("password of") == 1
            assert "near  ok" in terminal.shown
    finally:
        stage.lab.exec(
            "near", ("sh", "-c", "rm /etc/ssh/sshd_config.d/a-hurry.conf; pkill -HUP -o sshd; sleep 1")
        )


@pytest.mark.parametrize("called", ["unknown", "CHANGED"])
def test_the_command_that_a_key_is_refused_with_accepts_it(
    stage: Stage, bundle: Path, home: Path, called: str
) -> None:
    configure(home, f"IdentityFile {stage.lab.key}")
    known = home / ".ssh/known_hosts"
    far = next(
        line.split()[1:3] for line in known.read_text().splitlines() if stage.lab.address("far") in line
    )
    other = f"[{stage.lab.address('near')}]:2222 {' '.join(far)}\n"
    before = other if called == "CHANGED" else ""
    known.write_text(before)
    env = surroundings(home)
    definition = stage.definition("near", port=2222)
    refused = run(kit("ship", definition, "-b", str(bundle)), env)
    assert refused.returncode == 4
    assert called in refused.stderr
    assert shown_fingerprint(stage, "near") in refused.stderr
    assert known.read_text() == before
    command = refused.stderr.split("only then: ")[1].split(", or hosts.near.host_key")[0]
    subprocess.run(("sh", "-c", command), check=True, env=env)
    assert run(kit("ship", definition, "-b", str(bundle)), env).returncode == 0
    assert other not in known.read_text()
