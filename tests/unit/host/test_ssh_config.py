from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.host.ssh_config import read_ssh_config


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with an .ssh, named by HOME."""
    (tmp_path / ".ssh/more").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ssh"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_included_files_stand_in_the_place_of_their_line(home: Path) -> None:
    write(home / "more/a.conf", "Host gpu1\n HostName 10.0.0.11\n User first\n")
    write(home / "more/b.conf", "Host gpu*\n User second\n Port 2222\n")
    write(home / "config", "Include more/*.conf\nUser third\nHost gpu1\n Port 22\n")
    found = read_ssh_config(None).lookup("gpu1")
    assert (found["hostname"], found["user"], found["port"]) == ("10.0.0.11", "first", "2222")
    assert read_ssh_config(None).lookup("other")["user"] == "third"


def test_an_include_within_a_block_counts_for_that_block_alone(home: Path) -> None:
    write(home / "keys", "IdentityFile ~/.ssh/lab\n")
    write(home / "config", f'Host gpu1\n Include = "{home}/keys"\n User ops\n')
    found = read_ssh_config(None)
    assert found.lookup("gpu1")["user"] == "ops"
    assert list(found.lookup("gpu1")["identityfile"]) == [str(home / "lab")]
    assert "identityfile" not in found.lookup("gpu2")


def test_blocks_within_a_block_are_refused_by_name(home: Path) -> None:
    write(home / "blocks", "Host *.lab\n User ops\n")
    path = write(home / "config", "Host gpu1\nInclude blocks\n")
    with pytest.raises(ConfigError, match="Host gpu1"):
        read_ssh_config(path)


@pytest.mark.parametrize("criteria", ["localnetwork 10.0.0.0/8", "host gpu1 tagged lab", "final version 10"])
def test_a_match_that_cannot_be_judged_is_refused_by_name(home: Path, criteria: str) -> None:
    write(home / "config", f"Match {criteria}\n User ops\n")
    with pytest.raises(ConfigError, match=criteria):
        read_ssh_config(None)


def test_a_match_that_can_be_judged_is(home: Path) -> None:
    nowhere = "Match host nowhere exec 'test -e /a file'\n User eve\n"
    write(home / "config", f"{nowhere}Match originalhost gpu1 !user eve\n User ops\nMatch all\n Port 2222\n")
    assert read_ssh_config(None).lookup("gpu1")["user"] == "ops"
    assert "user" not in read_ssh_config(None).lookup("gpu2")
    assert read_ssh_config(None).lookup("gpu2")["port"] == "2222"


def test_files_that_include_themselves_end(home: Path) -> None:
    write(home / "config", "Include config\n")
    with pytest.raises(ConfigError, match="deep"):
        read_ssh_config(None)


def test_the_first_lines_come_first(home: Path) -> None:
    write(home / "config", "Host gpu1\n Port 2222\n ProxyCommand nc %h %p\n")
    found = read_ssh_config(None, "Host gpu1\n Port 22022\n").lookup("gpu1")
    assert (found["port"], found["proxycommand"]) == ("22022", "nc gpu1 22022")


def test_a_named_file_is_read_alone(home: Path, tmp_path: Path) -> None:
    write(home / "config", "User usual\n")
    named = write(tmp_path / "named", "Port 2222\n")
    assert "user" not in read_ssh_config(named).lookup("gpu1")
    with pytest.raises(ConfigError, match="KIT_SSH_CONFIG"):
        read_ssh_config(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["Host\n", "?\n", 'Host "a\n', 'Match host "a\n', "\udcff\n"])
def test_what_is_no_configuration_is_said_to_be_none(home: Path, text: str) -> None:
    (home / "config").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="no SSH configuration"):
        read_ssh_config(None)
