from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.signature import read_trust as module
from kit.signature.read_trust import policy_paths, read_trust
from tests.unit.signature.soft_keys import ed25519_key

KEY = ed25519_key()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy of the user's own, beside its signers."""
    folder = tmp_path / "airgap-kit"
    folder.mkdir(mode=0o755)
    (folder / "signers").write_text(f"alice {KEY.line}\n")
    (folder / "trust.yaml").write_text("require_signature: true\nallowed_signers: signers\n")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def env(folder: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder.parent)}


def test_where_no_policy_stands_none_applies(tmp_path: Path) -> None:
    assert read_trust({"XDG_CONFIG_HOME": str(tmp_path)}).rules == ()


def test_the_places_are_those_of_xdg() -> None:
    assert policy_paths({"XDG_CONFIG_HOME": "/c"})[1] == Path("/c/airgap-kit/trust.yaml")
    assert policy_paths({})[1] == Path.home() / ".config/airgap-kit/trust.yaml"


def test_somebody_without_a_home_has_no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert policy_paths({})[1] == Path("/nonexistent/.config/airgap-kit/trust.yaml")


def test_a_policy_is_read_with_the_signers_beside_it(folder: Path) -> None:
    (rule,) = read_trust(env(folder)).rules
    assert rule.require_signature
    assert rule.where == str(folder / "trust.yaml")
    assert rule.signers_file == str(folder / "signers")
    assert [signer.principals for signer in rule.allowed] == ["alice"]


def test_the_system_policy_applies_beside_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = folder / "system.yaml"
    system.write_text("refuse_older: true\n")
    monkeypatch.setattr(module, "SYSTEM_POLICY", system)
    trust = read_trust(env(folder))
    assert [rule.where for rule in trust.rules] == [str(system), str(folder / "trust.yaml")]
    assert trust.refuses_older


def test_a_variable_names_another_in_place_of_the_users(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("refuse_older: true\n")
    (rule,) = read_trust({**env(folder), "KIT_TRUST": str(other)}).rules
    assert rule.refuse_older
    assert not rule.require_signature
    with pytest.raises(ConfigError, match="KIT_TRUST"):
        read_trust({"KIT_TRUST": str(tmp_path / "missing")})


def test_signers_named_for_once_are_demanded_beside_the_policy(folder: Path, tmp_path: Path) -> None:
    trust = read_trust({"XDG_CONFIG_HOME": str(tmp_path / "none")}, allowed_signers=folder / "signers")
    assert [(rule.where, rule.require_signature) for rule in trust.rules] == [("--allowed-signers", True)]
    assert len(read_trust(env(folder), allowed_signers=folder / "signers").rules) == 2


@pytest.mark.parametrize("name", ["trust.yaml", "signers"])
def test_a_file_that_anybody_may_change_is_refused(folder: Path, name: str) -> None:
    (folder / name).chmod(0o646)
    with pytest.raises(ConfigError, match="anybody may change") as caught:
        read_trust(env(folder))
    assert caught.value.fix == f"chmod o-w {folder / name}"


def test_a_file_in_a_folder_that_anybody_may_change_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="anybody may change"):
        read_trust(env(folder))
    folder.chmod(0o1777)
    assert read_trust(env(folder)).rules


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("trust.yaml", b"a: [", "not YAML"),
        ("trust.yaml", b"\xff", "UTF-8"),
        ("trust.yaml", b"colour: blue", "colour: unknown key"),
        ("trust.yaml", b"#" * (2 << 20), "larger"),
        ("signers", b"\xff", "UTF-8"),
        ("signers", b"alice", "signers:1"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(folder: Path, name: str, data: bytes, word: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(ConfigError, match=word):
        read_trust(env(folder))


@pytest.mark.parametrize("name", ["trust.yaml", "signers"])
def test_a_file_that_is_none_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trust(env(folder))
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trust(env(folder))
