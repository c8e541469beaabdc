"""Logging in: keys first, then what somebody types at a prompt, in the order of ssh(1).

paramiko's own order would try a password wherever one is given, and ask on the standard output.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import paramiko

from kit.errors import UnreachableError
from kit.host.ssh_keys import Offers, find_offers, load_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kit.host.secrets import Secret, Secrets

PUBLICKEY, INTERACTIVE, PASSWORD = METHODS = ("publickey", "keyboard-interactive", "password")
"""In the order of ssh(1), where `PreferredAuthentications` gives no other."""
TYPE_IT = "type the password"
_FOR_PASSWORD = re.compile("passw|kennwort|mot de passe|密码|口令", re.IGNORECASE)
TYPING = 600.0
"""Seconds that somebody may take to answer a host's own questions."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom to log in as, and with what."""

    host: str
    """Its name in kit.yaml, or the gateway's."""
    user: str
    address: str
    port: int
    identities: tuple[Path, ...] = ()
    named_only: bool = False
    """Offer no other keys of the agent."""
    methods: tuple[str, ...] = METHODS
    in_project: bool = True
    """It is a host of kit.yaml, and no gateway."""

    @property
    def who(self) -> str:
        """The account, for prompts and messages."""
        return f"{self.user}@{self.address}" + ("" if self.port == 22 else f":{self.port}")  # noqa: PLR2004


class LoginStrategy:
    """Logs one account in, as `paramiko.SSHClient.connect(auth_strategy=…)` wants it."""

    def __init__(self, account: Account, secrets: Secrets) -> None:
        self._account = account
        self._secrets = secrets
        self._tried: list[str] = []
        self._missing: list[str] = []
        self.at_work = False
        """The login has begun and has not succeeded."""
        self.typed = False
        """A secret was used that somebody had typed."""
        self.one_time = False
        """The next login wants another answer."""

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in. Raises UnreachableError when the account cannot; what paramiko raises for a lost line."""
        self.at_work = True
        self._log_in(transport)
        self.at_work = False

    def _log_in(self, transport: paramiko.Transport) -> None:
        ways: dict[str, Callable[[paramiko.Transport], Sequence[str] | None]] = {
            PUBLICKEY: self._publickey,
            INTERACTIVE: self._interactive,
            PASSWORD: self._password,
        }
        allowed = self._allowed(transport)
        untried = [method for method in self._account.methods if method in ways]
        while allowed:
            method = next((method for method in untried if method in allowed), None)
            if method is None:
                raise self._refused(allowed)
            untried.remove(method)
            more = ways[method](transport)
            # An empty list is the end; a full one says what else the host demands.
            allowed = allowed if more is None else more

    def _allowed(self, transport: paramiko.Transport) -> Sequence[str]:
        try:
            return transport.auth_none(self._account.user)
        except paramiko.BadAuthenticationType as refusal:
            return tuple(refusal.allowed_types)

    def _try(
        self, transport: paramiko.Transport, name: str, call: Callable[[], Sequence[str]]
    ) -> Sequence[str] | None:
        """Return what is still demanded, or None when the host refuses."""
        self._tried.append(name)
        try:
            return tuple(call())
        except paramiko.AuthenticationException:
            if not transport.is_active():
                raise
            return None

    def _publickey(self, transport: paramiko.Transport) -> Sequence[str] | None:
        account = self._account
        with _agent_keys() as agent:
            offers = find_offers(account.identities, agent, named_only=account.named_only)
            for offer in offers.ready:
                more = self._offer(transport, offer.name, offer.key)
                if more is not None:
                    return more
        return self._unlocked(transport, offers)

    def _offer(self, transport: paramiko.Transport, name: str, key: paramiko.PKey) -> Sequence[str] | None:
        return self._try(transport, name, lambda: transport.auth_publickey(self._account.user, key))

    def _unlocked(self, transport: paramiko.Transport, offers: Offers) -> Sequence[str] | None:
        self._tried += offers.unreadable
        for path in offers.locked:
            key = self._unlock(path)
            if key is None:
                self._missing.append(f"ssh-add {path}")
                self._tried.append(f"{path} (locked with a passphrase)")
                continue
            more = self._offer(transport, str(path), key)
            if more is not None:
                self.typed = True
                return more
        return None

    def _unlock(self, path: Path) -> paramiko.PKey | None:
        opened: dict[str, paramiko.PKey] = self._secrets.opened
        if str(path) in opened:
            return opened[str(path)]
        prompt = f"passphrase of {path}, to log in to {self._account.host} (Enter: without it): "
        secret = self._secrets.get(f"key {path}", prompt)
        while secret is not None:
            with suppress(paramiko.SSHException, OSError):
                return opened.setdefault(str(path), load_key(path, secret.text))
            secret = self._secrets.get(f"key {path}", prompt, wrong=secret)
        return None

    def _password(self, transport: paramiko.Transport) -> Sequence[str] | None:
        def send(text: str) -> Sequence[str]:
            return transport.auth_password(self._account.user, text, fallback=False)

        secret = self._known_password()
        while secret is not None:
            more = self._try(transport, "a password", partial(send, secret.text))
            if more is not None:
                self.typed = True
                return more
            secret = self._known_password(wrong=secret)
        return None

    def _interactive(self, transport: paramiko.Transport) -> Sequence[str] | None:
        if self._secrets.nobody:
            self._missing.append(TYPE_IT)
            return None
        wrong: Secret | None = None
        while True:
            answers = _Answers(self._account, self._secrets, partial(self._known_password, wrong))
            with _patient(transport):
                ask = partial(transport.auth_interactive, self._account.user, answers)
                more = self._try(transport, "answers to its questions", ask)
            if more is not None:
                self.typed = True
                self.one_time = self.one_time or answers.one_time
                return more
            if answers.password is None:
                return None
            wrong = answers.password

    def _known_password(self, wrong: Secret | None = None) -> Secret | None:
        account = self._account
        prompt = f"{account.host}: password of {account.who}: "
        found = self._secrets.get(f"password {account.who}", prompt, wrong)
        if found is None and wrong is None:
            self._missing.append(TYPE_IT)
        return found

    def _refused(self, allowed: Sequence[str]) -> UnreachableError:
        takes = ", ".join(allowed) or "nothing"
        what = f"the login as {self._account.user} was refused"
        return self._error(what, f"it takes {takes}; tried: {self._attempts}", self._fix())

    def hung_up(self, why: str) -> UnreachableError:
        """Return the error for a host that ended the connection before anybody was logged in."""
        fix = "a host lets one try few keys: name them by IdentitiesOnly and IdentityFile in ~/.ssh/config"
        return self._error("it hung up in the middle of the login", f"{why}; tried: {self._attempts}", fix)

    @property
    def _attempts(self) -> str:
        return "; ".join(dict.fromkeys(self._tried)) or "nothing to offer"

    def _error(self, what: str, why: str, fix: str) -> UnreachableError:
        account = self._account
        where = f"{account.host} ({account.address}:{account.port})"
        return UnreachableError(what, where=where, why=why, fix=fix)

    def _fix(self) -> str:
        account = self._account
        name = (
            f"name user and identity in hosts.{account.host}" if account.in_project else "see ~/.ssh/config"
        )
        copy = f"put your public key there (ssh-copy-id -p {account.port} {account.user}@{account.address})"
        copy = f"{copy}, or {name}"
        if not self._missing or not self._secrets.nobody:
            return copy
        terminal = "run the same command at a terminal, where kit can ask"
        first = [command for command in self._missing if command.startswith("ssh-add")]
        return f"{first[0]}, or {terminal}" if first else f"{terminal} for the password, or {copy}"


class _Answers:
    """Answers what a host asks by keyboard-interactive."""

    def __init__(self, account: Account, secrets: Secrets, ask_password: Callable[[], Secret | None]) -> None:
        self._account = account
        self._secrets = secrets
        self._ask_password = ask_password
        self.password: Secret | None = None
        """That it was told."""
        self.one_time = False
        """It was told something that nobody will know the next time."""

    def __call__(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        del title, instructions
        return [self._answer(text, shown=shown) for text, shown in prompts]

    def _answer(self, text: str, *, shown: bool) -> str:
        if self.password is None and not shown and _FOR_PASSWORD.search(text):
            self.password = self._ask_password()
            return self.password.text if self.password else ""
        account = self._account
        self.one_time = True
        answer = self._secrets.question(f"{account.host}: {account.who} is asked: {text.strip()} ")
        return answer.text if answer else ""


@contextmanager
def _agent_keys() -> Iterator[tuple[paramiko.PKey, ...]]:
    try:
        agent = paramiko.Agent()
    except paramiko.SSHException:
        # Something listens at SSH_AUTH_SOCK that is no agent.
        yield ()
        return
    try:
        yield agent.get_keys()
    finally:
        agent.close()


@contextmanager
def _patient(transport: paramiko.Transport) -> Iterator[None]:
    before = transport.auth_timeout
    transport.auth_timeout = TYPING
    try:
        yield
    finally:
        transport.auth_timeout = before
