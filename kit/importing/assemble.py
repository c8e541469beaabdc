"""Drafts become sections of kit.yaml: names are given, hosts chosen, references resolved. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.importing.model_places import is_same, made_by, model_spec, shipped_name, texts_in
from kit.jobs.quantise import PROVEN
from kit.project.requirement import distribution_name

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from kit.importing.change import Change, Changes
    from kit.importing.draft import Draft, ModelPlace

_FIRST_ADDRESS = 11
_LONGEST = 60
"""Characters of a name, room for a number left."""


@dataclass(slots=True)
class Imported:
    """What kit.yaml is to get, section by section."""

    images: list[str] = field(default_factory=list)
    packages: dict[str, list[str]] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)
    hosts: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Changes] = field(default_factory=dict)
    """Job → its table."""

    def sections(self) -> dict[str, Any]:
        """Return the sections that hold anything, as YAML has them."""
        every = {
            "images": self.images,
            "packages": self.packages,
            "models": self.models,
            "datasets": self.datasets,
            "hosts": self.hosts,
            "jobs": self.jobs,
        }
        return {name: section for name, section in every.items() if section}

    def table(self) -> tuple[tuple[str, Change], ...]:
        """Return (job, change) of every job."""
        return tuple((job, line) for job, changes in self.changes.items() for line in changes.lines)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user of the import asked for beside the commands themselves."""

    stack: str = "cu126"
    name: str | None = None
    hosts: tuple[str, ...] = ()
    base: Mapping[str, Any] | None = None
    """The kit.yaml that the jobs go into, as its YAML says."""


def plain_name(text: str, fallback: str) -> str:
    """Return a text in the letters that names of kit.yaml are made of."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:_LONGEST]
    return name.strip("._-") or fallback


def free_name(wanted: str, taken: Container[str]) -> str:
    """Return the name itself, or with the first number that makes it a new one."""
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}-{number}" in taken:
        number += 1
    return f"{wanted}-{number}"


def assemble(drafts: tuple[Draft, ...], wishes: Wishes) -> Imported:
    """Return the sections for these jobs.

    Raises ConfigError when a job refers to one that is not there, or needs more hosts than there are.
    """
    return _Assembly(drafts, wishes).make()


class _Assembly:
    def __init__(self, drafts: tuple[Draft, ...], wishes: Wishes) -> None:
        self.drafts, self.wishes, self.found = drafts, wishes, Imported()
        self.base = dict(wishes.base or {})
        self.names: dict[int, str] = {}

    def make(self) -> Imported:
        for index, draft in enumerate(self.drafts):
            wanted = self.wishes.name if self.wishes.name and len(self.drafts) == 1 else _name_of(draft)
            taken = {**self._section("jobs"), **dict.fromkeys(self.names.values())}
            self.names[index] = free_name(wanted, taken)
            self.found.changes[self.names[index]] = draft.invocation.changes
        for index, draft in enumerate(self.drafts):
            job = self._job(index, draft)
            self.found.jobs[self.names[index]] = job
            quantising = PROVEN.get(self.wishes.stack, ()) if "bits" in draft.body else ()
            for pin in (*draft.packages, *quantising):
                self._package(draft, pin)
            self._unknown(draft, job)
        # A merge that a serve job needs was found after it; a reader wants the order of work.
        self.found.jobs = dict(sorted(self.found.jobs.items(), key=lambda item: _ORDER[item[1]["kind"]]))
        return self.found

    def _unknown(self, draft: Draft, job: dict[str, Any]) -> None:
        used = [
            self.found.models.get(str(job.get("model"))),
            *map(self.found.datasets.get, job.get("datasets", ())),
        ]
        texts = tuple(texts_in([job, used]))
        for piece in draft.invocation.unknown:
            if any(piece in text for text in texts):
                draft.invocation.changes.fill_in(
                    piece, "a shell would put something in its place; write what"
                )

    def _section(self, name: str) -> dict[str, Any]:
        there = self.base.get(name)
        return dict(there) if isinstance(there, dict) else {}

    def _image(self, image: str) -> None:
        there = self.base.get("images")
        if image not in (there if isinstance(there, list) else ()) and image not in self.found.images:
            self.found.images.append(image)

    def _package(self, draft: Draft, pin: str) -> None:
        there = self._section("packages").get("train") or []
        ours = self.found.packages.setdefault("train", [])
        names = {distribution_name(str(item)) for item in [*there, *ours]}
        if distribution_name(pin) not in names:
            ours.append(pin)
            draft.invocation.changes.added(
                f"packages.train: {pin}", "the stack's train image has none; kit lock pins it"
            )
        if not ours:
            del self.found.packages["train"]

    def _job(self, index: int, draft: Draft) -> dict[str, Any]:
        job: dict[str, Any] = {"kind": draft.kind}
        body = dict(draft.body)
        if draft.kind == "train" and draft.model:
            self._image("train")
            datasets = [self._dataset(name, entry, draft) for name, entry in draft.datasets]
            job |= {
                "model": self._model(draft.model, draft),
                "datasets": datasets,
                "hosts": self._hosts(draft),
            }
            if body["args"].get("stage") == "ppo" and "reward_model" not in body["args"]:
                job["reward"] = self._judge(draft)
        elif draft.kind == "export" and draft.model and not draft.made_from:
            self._image("train")
            job |= {"model": self._written_anew(draft.model, draft), "hosts": self._hosts(draft)}
            if draft.calibration is not None:
                body["calibration"] = self._dataset(*draft.calibration, draft)
        elif draft.kind == "export":
            self._image("train")
            job |= {"from": self._training(draft)}
        elif draft.kind == "serve" and draft.model:
            self._image("serve-sglang" if body.get("engine") == "sglang" else "serve")
            job |= {
                "engine": body.pop("engine"),
                "model": self._served(index, draft),
                "hosts": self._hosts(draft),
            }
        elif draft.kind in ("api", "chat") and draft.model:
            self._image("train")
            job |= {**self._talks(draft, draft.model), "hosts": self._hosts(draft)}
            if "from" in job:
                body.pop("template", None)
        elif draft.kind == "board":
            self._image("train")
            job |= {**self._shown(draft), "hosts": self._hosts(draft)}
        else:
            self._image("data")
            job |= {"hosts": self._hosts(draft)}
        return {**job, **body}

    def _served(self, index: int, draft: Draft) -> str:
        """Return the job or model that a serve job serves: what another imported job makes, or a model."""
        model = draft.model
        path = model.name if model else ""
        for other, candidate in enumerate(self.drafts):
            if candidate.kind == "export" and (
                is_same(path, candidate.made_at)
                or (draft.made_from and draft.made_from == candidate.made_from)
            ):
                draft.invocation.changes.added(f"model: {self.names[other]}", "that export job makes it")
                return self.names[other]
        for other, candidate in enumerate(self.drafts):
            made = draft.made_from or path
            if candidate.kind == "train" and made_by(made, candidate.made_at):
                return self._merge(self.names[other], draft)
        if draft.made_from:
            raise draft.invocation.refusal(
                "an adapter is served here, and no training is imported with it",
                "kit serves what an export job made of a train job",
                "import the training with it: kit import train.yaml serve.yaml",
            )
        del index
        return self._model(model, draft) if model else ""

    def _talks(self, draft: Draft, model: ModelPlace) -> dict[str, str]:
        """Return what an api or chat job answers with: what another imported job makes, or a model."""
        for other, candidate in enumerate(self.drafts):
            if candidate.kind == "train" and made_by(draft.made_from or model.name, candidate.made_at):
                return {"from": self.names[other]}
            merges = candidate.kind == "export" and not draft.made_from
            if merges and is_same(model.name, candidate.made_at):
                return {"model": self.names[other]}
        if draft.made_from:
            return {"from": self._training(draft)}
        return {"model": self._model(model, draft)}

    def _shown(self, draft: Draft) -> dict[str, list[str]]:
        """Return what a board finds: every model and dataset that is known by then."""
        models = [*self._section("models"), *self.found.models]
        if not models:
            raise draft.invocation.refusal(
                "LLaMA Board's command names no model, and kit must know which to ship",
                "a job of kind board lists its models",
                "import it --into a kit.yaml with models, or with a training: kit import train.yaml board.sh",
            )
        datasets = [*self._section("datasets"), *self.found.datasets]
        draft.invocation.changes.added(f"models: {', '.join(models)}", "the board shows what kit ships")
        return {"models": models, **({"datasets": datasets} if datasets else {})}

    def _merge(self, training: str, draft: Draft) -> str:
        self._image("train")
        taken = {**self._section("jobs"), **self.found.jobs, **dict.fromkeys(self.names.values())}
        name = free_name("merge", taken)
        self.found.jobs[name] = {"kind": "export", "from": training}
        draft.invocation.changes.added(f"jobs.{name}", f"kit serves what an export job made of {training}")
        return name

    def _training(self, draft: Draft) -> str:
        for index, candidate in enumerate(self.drafts):
            if candidate.kind == "train" and made_by(draft.made_from, candidate.made_at):
                if not is_same(draft.made_from, candidate.made_at):
                    draft.invocation.changes.changed(
                        draft.made_from,
                        f"from: {self.names[index]}",
                        "kit merges what the training ended with",
                    )
                return self.names[index]
        trains = [name for name, job in self._section("jobs").items() if _kind(job) == "train"]
        trains += [self.names[index] for index, draft in enumerate(self.drafts) if draft.kind == "train"]
        if len(trains) == 1:
            draft.invocation.changes.changed(
                draft.made_from, f"from: {trains[0]}", "it is the only training; kit merges what that made"
            )
            return trains[0]
        raise draft.invocation.refusal(
            f"no training is known that made {draft.made_from}",
            "kit goes on from what a train job made",
            "import both at once (kit import train.yaml merge.yaml), or --into a kit.yaml with that job",
        )

    def _written_anew(self, model: ModelPlace, draft: Draft) -> str:
        """Return what an export without an adapter takes: what another one merged, or a model."""
        for index, candidate in enumerate(self.drafts):
            if candidate.kind == "export" and candidate.made_from and is_same(model.name, candidate.made_at):
                draft.invocation.changes.added(f"model: {self.names[index]}", "that export job makes it")
                return self.names[index]
        return self._model(model, draft)

    def _judge(self, draft: Draft) -> str:
        """Return the train job whose reward model PPO asks."""
        changes = draft.invocation.changes
        ours = {
            self.names[index]: candidate.made_at
            for index, candidate in enumerate(self.drafts)
            if candidate.kind == "train" and candidate.body["args"].get("stage") == "rm"
        }
        for name, made_at in ours.items():
            if made_by(draft.judge, made_at):
                changes.renamed(f"reward_model: {draft.judge}", f"reward: {name}", "that training makes it")
                return name
        there = [name for name, job in self._section("jobs").items() if _stage(job) == "rm"]
        if len(found := [*there, *ours]) == 1:
            why = "it is the only training in stage rm"
            changes.changed(f"reward_model: {draft.judge or 'none'}", f"reward: {found[0]}", why)
            return found[0]
        raise draft.invocation.refusal(
            f"no training is known that made the reward model {draft.judge}".rstrip(),
            "PPO asks what a train job of stage rm made",
            "import both at once (kit import reward.yaml ppo.yaml), or --into a kit.yaml with that job",
        )

    def _model(self, place: ModelPlace, draft: Draft) -> str:
        if (shipped := shipped_name(place)) in self._section("models"):
            return shipped
        spec = model_spec(place)
        for name, there in (*self._section("models").items(), *self.found.models.items()):
            if isinstance(there, dict) and all(
                there.get(key) == spec[key] for key in spec if key != "revision"
            ):
                return str(name)
        name = free_name(
            plain_name(place.name.rstrip("/").rpartition("/")[2], "model"),
            {**self._section("models"), **self.found.models, **self._section("jobs")},
        )
        self.found.models[name] = spec
        changes = draft.invocation.changes
        if spec["source"] == "folder":
            changes.fill_in(
                f"models.{name}.path: {spec['path']}", "is the folder there, where kit lock runs?"
            )
        elif not place.revision:
            changes.added(
                f"models.{name}.revision: {spec['revision']}", "none was said; kit lock pins what it is then"
            )
        return name

    def _dataset(self, wanted: str, entry: dict[str, Any], draft: Draft) -> str:
        if draft.model and shipped_name(draft.model) and wanted in self._section("datasets"):
            draft.invocation.changes.settled(f"datasets.{wanted}")
            return wanted
        every = {**self._section("datasets"), **self.found.datasets}
        name = plain_name(wanted, "data")
        if every.get(name) != entry:
            name = free_name(name, every)
            self.found.datasets[name] = entry
        return name

    def _hosts(self, draft: Draft) -> list[str]:
        call = draft.invocation
        wanted = call.hosts if draft.kind in ("train", "export") else 1
        there = list(self._section("hosts"))
        if not there:
            return [self._new_host(number, draft) for number in range(wanted)]
        chosen = list(self.wishes.hosts)[:wanted] or there[:wanted]
        if len(chosen) < wanted:
            raise ConfigError(
                f"the command runs on {wanted} hosts, and there are {len(chosen)}",
                where=call.where,
                fix="add hosts to kit.yaml, or name more with --host",
            )
        given = self._section("hosts").get(chosen[0])
        gpus = given.get("gpus", 0) if isinstance(given, dict) else 0
        if draft.kind == "train" and call.gpus is not None and str(call.gpus) != str(gpus):
            call.changes.changed(
                f"GPUs: {call.gpus}", f"hosts.{chosen[0]}.gpus: {gpus}", "kit.yaml says it of the host"
            )
        return chosen

    def _new_host(self, number: int, draft: Draft) -> str:
        name = self.wishes.hosts[number] if number < len(self.wishes.hosts) else f"gpu{number + 1}"
        call = draft.invocation
        address = call.address if number == 0 and call.address else f"10.0.0.{_FIRST_ADDRESS + number}"
        if name not in self.found.hosts:
            self.found.hosts[name] = {"address": address, "gpus": 0}
            if address != call.address:
                call.changes.fill_in(f"hosts.{name}.address: {address}", "nothing said where it is")
        host = self.found.hosts[name]
        if self.wishes.stack != "cpu" and draft.kind != "data":
            if call.gpus is None and not host["gpus"]:
                call.changes.fill_in(f"hosts.{name}.gpus: 1", "nothing said how many; a count, or ids")
            host["gpus"] = _more(host["gpus"], call.gpus if call.gpus is not None else 1)
        return name


_ORDER = {"data": 0, "train": 1, "export": 2, "serve": 3, "api": 4, "chat": 5, "board": 6}


def _kind(job: Any) -> str:
    return str(job.get("kind", "")) if isinstance(job, dict) else ""


def _stage(job: Any) -> str:
    args = job.get("args") if _kind(job) == "train" else None
    return str(args.get("stage", "")) if isinstance(args, dict) else ""


def _count(gpus: int | str) -> int:
    return gpus if isinstance(gpus, int) else len(gpus.split(","))


def _more(there: int | str, wanted: int | str) -> int | str:
    return wanted if _count(wanted) > _count(there) else there


def _name_of(draft: Draft) -> str:
    if draft.kind != "export":
        return draft.kind
    return "quantised" if "bits" in draft.body else "merge"
