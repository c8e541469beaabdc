"""`kit ask`: a question to a served model, put on its own host and answered over SSH."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.project.job_model import ApiJob, ProxyJob, ServeJob
from kit.run.access import read_access
from kit.run.fleet import open_hosts
from kit.run.machine import make_machine
from kit.run.needs import find_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.project.load import LoadedProject
    from kit.run.access import Access
    from kit.run.machine import Machine, Toolbox


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how it shall be answered."""

    text: str
    system: str = ""
    max_tokens: int | None = None
    """Longest answer; None leaves it to the model's own limit."""
    temperature: float | None = None
    """None leaves it to the model's own default."""
    think: bool = True
    """False asks a reasoning model not to think first."""
    model: str = ""
    """Name of the model or adapter that shall answer; empty for the job's own model."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer."""

    job: str
    model: str
    question: str
    answer: str
    reasoning: str
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    seconds_to_first_token: float | None


def model_choice(name: str, job: ServeJob | ApiJob, model: str) -> dict[str, Any]:
    """Return the part of a request that chooses a model or adapter by name; nothing for the job's own.

    SGLang takes any model's name for its one model, and an adapter's under a key of its own. Pure.
    Raises ConfigError for a name that the job does not serve.
    """
    own = job.served_name or job.model or name
    adapters = job.adapters if isinstance(job, ServeJob) else ()
    if model in ("", own):
        return {}
    if model not in adapters:
        known = ", ".join((own, *adapters))
        raise ConfigError(f"{name} serves no {model!r}", where="--model", fix=f"one of {known}")
    return {"lora_path": model} if isinstance(job, ServeJob) and job.engine == "sglang" else {"model": model}


def chat_request(question: Question, said: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """Return the body of a chat completion for a question, without the model. Pure.

    `said` are the (role, text) of what went before.
    """
    messages = [{"role": "system", "content": question.system}] if question.system else []
    messages += [{"role": role, "content": text} for role, text in (*said, ("user", question.text))]
    request: dict[str, Any] = {"messages": messages}
    if question.max_tokens is not None:
        request["max_tokens"] = question.max_tokens
    if question.temperature is not None:
        request["temperature"] = question.temperature
    if not question.think:
        request["chat_template_kwargs"] = {"enable_thinking": False}
    return request


@contextmanager
def open_talk(loaded: LoadedProject, job_name: str, question: Question, toolbox: Toolbox) -> Iterator[Talk]:
    """Yield a talk with what a job serves, over one connection.

    Of `question` all but its text holds for the whole talk. Raises ConfigError when the job serves nothing,
    UnreachableError.
    """
    job = find_job(loaded.project, job_name)
    host = job.hosts[0] if job.hosts else ""
    if isinstance(job, ProxyJob):
        # Its replicas serve the same, in the same words.
        job = loaded.project.jobs[job.to[0]]
    if not isinstance(job, ServeJob | ApiJob):
        raise ConfigError(f"{job_name} is a {job.kind} job and serves no model", where=f"jobs.{job_name}")
    access = read_access(loaded, job_name)
    choice = model_choice(job_name, job, question.model)
    with open_hosts(loaded, (host,), toolbox.connect) as hosts:
        machine = make_machine(hosts[host], loaded.project.hosts[host], toolbox)
        yield Talk(job_name, machine, access, question, choice)


class Talk:
    """Questions and answers, each of which the model is told again with the next question."""

    def __init__(
        self, job: str, machine: Machine, access: Access, question: Question, choice: dict[str, Any]
    ) -> None:
        self._job = job
        self._machine = machine
        self._keys = {"api_key": access.api_key, "certificate": access.certificate}
        self._question = question
        self._choice = choice
        self._said: tuple[tuple[str, str], ...] = ()

    def say(self, text: str, on_text: Callable[[str], None] | None = None) -> Asked:
        """Ask, and return the answer; `on_text` hears it piece by piece.

        Raises JobError when the job does not run or fails to answer; the question is not remembered then.
        """

        def hear(event: dict[str, Any]) -> None:
            if on_text is not None and event.get("text"):
                on_text(event["text"])

        request = chat_request(replace(self._question, text=text), self._said) | self._choice
        found = self._machine.ask("ask", hear, job=self._job, chat=request, **self._keys)
        # What a reasoning model thought is not told again: chat templates leave it out, too.
        self._said = (*self._said, ("user", text), ("assistant", found["text"]))
        usage = dict(found["usage"])
        return Asked(
            job=self._job,
            model=self._question.model or found["model"],
            question=text,
            answer=found["text"],
            reasoning=found["reasoning"],
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            seconds=round(found["seconds"], 3),
            seconds_to_first_token=found["seconds_to_first_token"],
        )


def ask(
    loaded: LoadedProject,
    job_name: str,
    question: Question,
    toolbox: Toolbox,
    on_text: Callable[[str], None] | None = None,
) -> Asked:
    """Ask one question, and return the answer; `on_text` hears it piece by piece.

    Raises ConfigError when the job serves nothing, JobError when it does not run or fails to answer.
    """
    with open_talk(loaded, job_name, question, toolbox) as talk:
        return talk.say(question.text, on_text)
