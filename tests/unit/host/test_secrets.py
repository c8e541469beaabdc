from __future__ import annotations

from kit.host.secrets import TRIES, Secret, Secrets


class Person:
    """Somebody at a terminal who types these answers, one after another."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self.answers.pop(0) if self.answers else None


def test_a_secret_shows_itself_nowhere() -> None:
    assert "hunter2" not in f"{Secret('hunter2')} {Secret('hunter2')!r} {[Secret('hunter2')]}"


def test_a_secret_is_asked_for_once_each_purpose() -> None:
    person = Person("one", "two")
    secrets = Secrets(person)
    first = secrets.get("gpu1", "gpu1: ")
    assert first is not None
    assert (first.text, secrets.get("gpu1", "gpu1: ")) == ("one", first)
    second = secrets.get("gpu2", "gpu2: ")
    assert second is not None
    assert second.text == "two"
    assert person.prompts == ["gpu1: ", "gpu2: "]


def test_a_wrong_secret_is_asked_for_again_but_not_for_ever() -> None:
    person = Person("a", "b", "c", "d")
    secrets = Secrets(person)
    wrong = secrets.get("gpu1", "gpu1: ")
    while wrong is not None:
        wrong = secrets.get("gpu1", "gpu1: ", wrong=wrong)
    assert len(person.prompts) == TRIES
    assert person.prompts[1] == "that was refused; gpu1: "


def test_what_another_host_was_told_meanwhile_is_tried_before_anybody_is_asked() -> None:
    person = Person("bad", "good")
    secrets = Secrets(person)
    bad = secrets.get("key", "key: ")
    good = secrets.get("key", "key: ", wrong=bad)
    assert secrets.get("key", "key: ", wrong=bad) is good
    assert len(person.prompts) == 2


def test_whoever_types_nothing_is_not_asked_again() -> None:
    person = Person("")
    secrets = Secrets(person)
    assert secrets.get("gpu1", "gpu1: ") is None
    assert secrets.get("gpu1", "gpu1: ") is None
    assert (len(person.prompts), secrets.typed) == (1, 0)


def test_where_there_is_nobody_nobody_is_asked() -> None:
    secrets = Secrets()
    assert secrets.nobody
    assert secrets.get("gpu1", "gpu1: ") is None
    assert secrets.question("code: ") is None


def test_a_question_is_asked_each_time() -> None:
    secrets = Secrets(Person("111", "222"))
    assert [found.text for _ in range(2) if (found := secrets.question("code: "))] == ["111", "222"]
