from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import paramiko
import pytest

from kit.errors import UnreachableError
from kit.host.secrets import Secrets
from kit.host.ssh_login import Account, LoginStrategy
from tests.unit.host.test_secrets import Person
from tests.unit.host.test_ssh_keys import make_key

BOTH = ("publickey", "password")


class Server:
    """A host's side of a login, in place of paramiko's transport."""

    auth_timeout = 30.0

    def __init__(
        self,
        *methods: str,
        keys: tuple[paramiko.PKey, ...] = (),
        password: str = "",
        after_key: tuple[str, ...] = (),
    ) -> None:
        self.methods = methods
        self.keys = [key.asbytes() for key in keys]
        self.password = password
        self.after_key = after_key
        self.alive = True
        self.heard: list[str] = []
        self.questions: tuple[tuple[str, bool], ...] = (("Password: ", False),)

    def is_active(self) -> bool:
        return self.alive

    def auth_none(self, username: str) -> Sequence[str]:
        del username
        if not self.methods:
            return []
        raise paramiko.BadAuthenticationType("no", list(self.methods))

    def auth_publickey(self, username: str, key: paramiko.PKey) -> Sequence[str]:
        del username
        self.heard.append("key")
        return self._judge(key.asbytes() in self.keys, self.after_key)

    def auth_password(self, username: str, password: str, *, fallback: bool) -> Sequence[str]:
        del username
        assert not fallback
        self.heard.append("password")
        return self._judge(password == self.password)

    def auth_interactive(self, username: str, handler: Callable[..., Any]) -> Sequence[str]:
        del username
        self.heard.append("questions")
        assert self.auth_timeout > 60
        return self._judge(handler("", "", list(self.questions))[0] == self.password)

    def _judge(self, right: bool, more: tuple[str, ...] = ()) -> Sequence[str]:  # noqa: FBT001
        if not right:
            raise paramiko.AuthenticationException("Authentication failed.")
        return list(more)


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def account(**changes: Any) -> Account:
    return Account(**{"host": "gpu1", "user": "ops", "address": "10.0.0.11", "port": 22, **changes})


def log_in(server: Server, secrets: Secrets, **changes: Any) -> LoginStrategy:
    strategy = LoginStrategy(account(**changes), secrets)
    strategy.authenticate(server)  # type: ignore[arg-type]
    return strategy


def refusal(server: Server, secrets: Secrets, **changes: Any) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        log_in(server, secrets, **changes)
    assert caught.value.exit_code == 4
    return caught.value


def test_a_key_is_offered_before_anybody_is_asked(tmp_path: Path) -> None:
    key, person = make_key(tmp_path / "key"), Person("never")
    server = Server(*BOTH, keys=(key,), password="never")
    assert not log_in(server, Secrets(person), identities=(tmp_path / "key",)).typed
    assert (server.heard, person.prompts) == (["key"], [])


def test_a_password_is_asked_for_with_the_hosts_name_when_no_key_fits(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    server, person = Server(*BOTH, password="pa55"), Person("pa55")
    assert log_in(server, Secrets(person), identities=(tmp_path / "key",), port=2222).typed
    assert server.heard == ["key", "password"]
    assert person.prompts == ["gpu1: password of ops@10.0.0.11:2222: "]


def test_the_second_login_asks_nobody() -> None:
    secrets = Secrets(Person("pa55"))
    log_in(Server("password", password="pa55"), secrets)
    assert log_in(Server("password", password="pa55"), secrets).typed


def test_questions_come_before_a_password_as_with_ssh() -> None:
    server, person = Server("password", "keyboard-interactive", password="pa55"), Person("pa55")
    log_in(server, Secrets(person))
    assert server.heard == ["questions"]
    assert server.auth_timeout == 30.0


def test_what_a_host_asks_besides_the_password_is_asked_each_time() -> None:
    server, person = Server("keyboard-interactive", password="pa55"), Person("pa55", "123456")
    server.questions = (("Password: ", False), ("One-time code: ", True))
    assert log_in(server, Secrets(person)).one_time
    assert person.prompts[1] == "gpu1: ops@10.0.0.11 is asked: One-time code: "


def test_a_code_is_not_taken_for_the_password() -> None:
    server, person = Server("keyboard-interactive", password="123456"), Person("123456")
    server.questions = (("Verification code: ", False),)
    secrets = Secrets(person)
    assert log_in(server, secrets).one_time
    assert person.prompts == ["gpu1: ops@10.0.0.11 is asked: Verification code: "]
    assert secrets.get("password ops@10.0.0.11", "password: ") is None


def test_a_wrong_answer_is_asked_for_again() -> None:
    server, person = Server("keyboard-interactive", password="pa55"), Person("wrong", "pa55")
    assert not log_in(server, Secrets(person)).one_time
    assert person.prompts[1].startswith("that was refused; ")


def test_a_host_that_wants_a_key_and_a_password_gets_both(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    server = Server(*BOTH, keys=(key,), password="pa55", after_key=("password",))
    log_in(server, Secrets(Person("pa55")), identities=(tmp_path / "key",))
    assert server.heard == ["key", "password"]


def test_a_locked_key_is_unlocked_by_what_is_typed_once_for_all_hosts(tmp_path: Path) -> None:
    key, person = make_key(tmp_path / "key", "open"), Person("wrong", "open")
    secrets = Secrets(person)
    for host in ("gpu1", "gpu2"):
        login = log_in(Server("publickey", keys=(key,)), secrets, host=host, identities=(tmp_path / "key",))
        assert login.typed
    assert len(person.prompts) == 2
    assert str(tmp_path / "key") in person.prompts[0]
    # Unlocking takes its time, once.
    assert [found.asbytes() for found in secrets.opened.values()] == [key.asbytes()]


def test_a_wrong_password_is_asked_for_three_times_and_told_nowhere() -> None:
    person = Person("hunter2", "hunter2", "hunter2", "hunter2")
    error = refusal(Server("password", password="pa55"), Secrets(person))
    assert len(person.prompts) == 3
    assert "hunter2" not in str(error)


def test_a_password_without_a_terminal_is_told_with_the_ways_out() -> None:
    error = refusal(Server(*BOTH, password="pa55"), Secrets())
    assert "it takes publickey, password" in error.why
    assert "at a terminal" in error.fix
    assert "ssh-copy-id -p 22 ops@10.0.0.11" in error.fix


def test_a_locked_key_without_a_terminal_is_told_with_the_ways_out(tmp_path: Path) -> None:
    make_key(tmp_path / "key", "open")
    error = refusal(Server("publickey"), Secrets(), identities=(tmp_path / "key",))
    assert f"{tmp_path}/key (locked with a passphrase)" in error.why
    assert f"ssh-add {tmp_path}/key" in error.fix
    assert "terminal" in error.fix


def test_a_host_that_takes_no_key_of_ours_says_which_were_tried(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    error = refusal(Server("publickey"), Secrets(Person()), identities=(tmp_path / "key",))
    assert str(tmp_path / "key") in error.why
    assert "hosts.gpu1" in error.fix
    assert "hosts." not in refusal(Server("publickey"), Secrets(), in_project=False).fix


def test_methods_that_the_configuration_turns_off_are_left_out() -> None:
    person = Person("pa55")
    error = refusal(Server("password", password="pa55"), Secrets(person), methods=("publickey",))
    assert (person.prompts, "password" in error.why) == ([], True)


def test_a_host_that_demands_nothing_is_entered() -> None:
    login = log_in(Server(), Secrets())
    assert (login.typed, login.at_work) == (False, False)


def test_a_line_that_breaks_is_no_refusal() -> None:
    server = Server("password", password="pa55")
    server.alive = False
    strategy = LoginStrategy(account(), Secrets(Person("wrong")))
    with pytest.raises(paramiko.AuthenticationException):
        strategy.authenticate(server)  # type: ignore[arg-type]
    assert strategy.at_work
    error = strategy.hung_up("Too many authentication failures")
    assert "Too many authentication failures; tried: a password" in error.why
    assert "IdentitiesOnly" in error.fix
