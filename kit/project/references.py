"""Does every name in kit.yaml stand for something? Pure; returns complaints, raises nothing."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args

from kit.project.job_model import (
    ApiJob,
    AskingJob,
    BoardJob,
    DataJob,
    EvalJob,
    ExportJob,
    InferJob,
    Job,
    ProxyJob,
    ServeJob,
    TalkJob,
    TrainJob,
)
from kit.project.model import NamedImage, OwnImage, Project
from kit.project.requirement import distribution_name


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Return a hint that lists what is known, or the nearest of it."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "none is defined"


def _unknown(key: str, what: str, name: str, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if name not in known:
        yield key, f"no {what} named {name!r}; {nearest(name, known)}"


def _image_of(project: Project, job: Job) -> str:
    if isinstance(job, InferJob):
        # Where the endpoint is, its image is; what asks it needs no more than Python.
        through = project.jobs.get(job.through)
        if isinstance(through, ProxyJob):
            through = project.jobs.get(through.to[0])
        return _image_of(project, through) if isinstance(through, ServeJob | ApiJob) else "serve"
    if isinstance(job, ServeJob):
        return "serve" if job.engine == "vllm" else "serve-sglang"
    if isinstance(job, ProxyJob):
        return "proxy"
    return "data" if isinstance(job, DataJob) else "train"


def image_of(project: Project, job_name: str) -> str:
    """Return the name of the image that the job runs in."""
    return _image_of(project, project.jobs[job_name])


def hosts_of(project: Project, job_name: str) -> tuple[str, ...]:
    """Return the hosts of a job; an export without hosts runs where its adapter was written."""
    job = project.jobs[job_name]
    if job.hosts:
        return job.hosts
    if isinstance(job, AskingJob):
        return hosts_of(project, throughs_of(job)[0])[:1]
    if isinstance(job, ExportJob):
        maker = job.from_ or job.model or ""
        return hosts_of(project, maker)[:1] if maker in project.jobs else ()
    return ()


def throughs_of(job: Job) -> tuple[str, ...]:
    """Return the jobs whose endpoints a job asks."""
    if isinstance(job, InferJob):
        return (job.through,)
    return job.through if isinstance(job, EvalJob) else ()


def suites_of(job: Job) -> tuple[str, ...]:
    """Return the suites of questions with choices that a job asks."""
    return job.suites if isinstance(job, EvalJob) else ()


def shipped_model(project: Project, name: str) -> str:
    """Return the model that a job's was made from, through every export and training between them."""
    job = project.jobs[name]
    if isinstance(job, ProxyJob):
        return shipped_model(project, job.to[0])
    model = getattr(job, "model", None)
    if model is None:
        return shipped_model(project, getattr(job, "from_", None) or "")
    return model if model in project.models else shipped_model(project, model)


def served_names(project: Project, name: str) -> tuple[str, ...]:
    """Return the names that a serve, api or proxy job answers to in requests, its model's first."""
    job = project.jobs[name]
    if isinstance(job, ProxyJob):
        # An adapter can be asked for where every replica has it.
        first, *others = (served_names(project, replica) for replica in job.to)
        return tuple(model for model in first if all(model in other for other in others))
    if isinstance(job, ApiJob):
        return (job.served_name or job.model or job.from_ or "",)
    return (job.served_name or job.model, *job.adapters) if isinstance(job, ServeJob) else ()


def complaints(project: Project) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for every name that leads nowhere."""
    for name, job in project.jobs.items():
        key = f"jobs.{name}"
        yield from _every(f"{key}.hosts", "host", job.hosts, tuple(project.hosts))
        yield from _job_complaints(project, key, job)
        yield from _form_complaints(project, key, job)
        if (image := _image_of(project, job)) not in project.images:
            yield "images", f"job {name!r} needs the image {image!r}; add it to images"
    yield from _image_complaints(project)
    yield from _package_complaints(project)


def _every(key: str, what: str, names: tuple[str, ...], known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(names):
        yield from _unknown(f"{key}[{index}]", what, name, known)


def _job_complaints(project: Project, key: str, job: Job) -> Iterator[tuple[str, str]]:
    exports = tuple(name for name, job in project.jobs.items() if isinstance(job, ExportJob))
    trains = tuple(name for name, job in project.jobs.items() if isinstance(job, TrainJob))
    if isinstance(job, TrainJob):
        yield from _unknown(f"{key}.model", "model", job.model, tuple(project.models))
        yield from _every(f"{key}.datasets", "dataset", job.datasets, tuple(project.datasets))
        yield from _reward_complaints(project, key, job)
    elif isinstance(job, ExportJob):
        # One of another's making is a merged training: so there is no circle.
        merged = (name for name in exports if getattr(project.jobs[name], "from_", None) is not None)
        yield from _talk_complaints(key, job, (*project.models, *merged), trains)
        if job.model in project.models and not job.hosts:
            yield f"{key}.hosts", "name the host to do it on"
        if job.calibration is not None:
            yield from _unknown(f"{key}.calibration", "dataset", job.calibration, tuple(project.datasets))
    elif isinstance(job, ServeJob):
        yield from _unknown(f"{key}.model", "model or export job", job.model, (*project.models, *exports))
        yield from _adapter_complaints(project, key, job, trains)
    elif isinstance(job, TalkJob):
        yield from _talk_complaints(key, job, (*project.models, *exports), trains)
    elif isinstance(job, ProxyJob):
        yield from _proxy_complaints(project, key, job)
    elif isinstance(job, InferJob | EvalJob):
        yield from _asking_complaints(project, key, job)
    elif isinstance(job, BoardJob):
        yield from _every(f"{key}.models", "model", job.models, tuple(project.models))
        yield from _every(f"{key}.datasets", "dataset", job.datasets, tuple(project.datasets))


def _reward_complaints(project: Project, key: str, job: TrainJob) -> Iterator[tuple[str, str]]:
    if job.reward is None:
        return
    place, judges = f"{key}.reward", project.jobs.get(job.reward)
    rewards = (
        n for n, other in project.jobs.items() if isinstance(other, TrainJob) and _stage(other) == "rm"
    )
    if not isinstance(judges, TrainJob):
        yield from _unknown(place, "train job of stage rm", job.reward, tuple(rewards))
        return
    if _stage(job) != "ppo":
        yield place, f"stage {_stage(job)} asks no reward model; remove it, or args: {{stage: ppo}}"
    if _stage(judges) != "rm":
        yield place, f"{job.reward} trains in stage {_stage(judges)}; a reward model comes of stage rm"
    if judges.model != job.model:
        what = f"{job.reward} judges with {judges.model!r}, and this job trains {job.model!r}"
        yield place, f"{what}; both read the same tokens, so both must be of one model"


def _stage(job: TrainJob) -> str:
    return str(job.args.get("stage", "sft"))


def _asking_complaints(project: Project, key: str, job: InferJob | EvalJob) -> Iterator[tuple[str, str]]:
    serving = tuple(n for n, other in project.jobs.items() if isinstance(other, ServeJob | ApiJob | ProxyJob))
    if job.dataset or isinstance(job, InferJob):
        yield from _unknown(f"{key}.dataset", "dataset", job.dataset, tuple(project.datasets))
    yield from _every(f"{key}.suites", "dataset", suites_of(job), tuple(project.datasets))
    yield from _every(f"{key}.through", "serve, api or proxy job", throughs_of(job), serving)


def _form_complaints(project: Project, key: str, job: Job) -> Iterator[tuple[str, str]]:
    for name in suites_of(job):
        if name in project.datasets and project.datasets[name].format != "choices":
            yield f"{key}.suites", f"{name} has no choices; datasets.{name}.format: choices says that it has"
    if isinstance(job, TrainJob | BoardJob):
        read = {"datasets": job.datasets}
    elif isinstance(job, ExportJob):
        read = {"calibration": (job.calibration or "",)}
    else:
        read = {"dataset": (job.dataset,)} if isinstance(job, AskingJob) else {}
    for part, names in read.items():
        for name in names:
            if name in project.datasets and project.datasets[name].format == "choices":
                yield (
                    f"{key}.{part}",
                    f"{name} holds questions with choices; a job of kind eval asks them: suites",
                )


def _talk_complaints(
    key: str, job: TalkJob | ExportJob, models: tuple[str, ...], trains: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    if (job.model is None) == (job.from_ is None):
        yield key, "name one of `model` (a model or an export job) and `from` (a train job)"
    if job.model is not None:
        yield from _unknown(f"{key}.model", "model or export job", job.model, models)
    if job.from_ is not None:
        yield from _unknown(f"{key}.from", "train job", job.from_, trains)
        if job.template is not None:
            yield f"{key}.template", f"the template of {job.from_} holds; remove it"


def _adapter_complaints(
    project: Project, key: str, job: ServeJob, trains: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    taken = {job.served_name or job.model}
    for index, name in enumerate(job.adapters):
        place = f"{key}.adapters[{index}]"
        yield from _unknown(place, "train job", name, trains)
        training = project.jobs.get(name)
        if isinstance(training, TrainJob) and training.model != job.model:
            what = f"{name} trains an adapter for {training.model!r}, and this job serves {job.model!r}"
            yield place, f"{what}; an adapter fits the very model that it was trained on"
        if name in taken:
            yield place, f"the name {name!r} is taken in requests; each adapter is listed once"
        taken.add(name)


def _proxy_complaints(project: Project, key: str, job: ProxyJob) -> Iterator[tuple[str, str]]:
    serves = {name: other for name, other in project.jobs.items() if isinstance(other, ServeJob)}
    yield from _every(f"{key}.to", "serve job", job.to, tuple(serves))
    found = {name: serves[name] for name in job.to if name in serves}
    if len(set(job.to)) < len(job.to):
        yield f"{key}.to", "a serve job is named twice"
    names = {other.served_name or other.model for other in found.values()}
    if len(names) > 1:
        shown = ", ".join(sorted(names))
        yield f"{key}.to", f"they answer to different names, {shown}; give all one served_name"
    if len({other.api_key_file for other in found.values()}) > 1:
        yield f"{key}.to", "they ask for different keys; give all the same api_key_file"
    for name, other in found.items():
        if other.tls:
            yield f"{key}.to", f"{name} speaks TLS, and a proxy asks in plain HTTP; move tls to {key}"
        if other.hosts != job.hosts and (other.bind == "::1" or other.bind.startswith("127.")):
            yield (
                f"{key}.to",
                f"{name} listens on its own host's {other.bind} alone; jobs.{name}.bind: 0.0.0.0",
            )


def _image_complaints(project: Project) -> Iterator[tuple[str, str]]:
    seen = {"kit"}
    for index, image in enumerate(project.images):
        name = image.name if isinstance(image, NamedImage) else image
        if name in seen or (isinstance(image, NamedImage) and name in get_args(OwnImage)):
            yield f"images[{index}]", f"the name {name!r} is taken; give it another one"
        seen.add(name)
        if isinstance(image, NamedImage):
            for place, host in enumerate(image.hosts):
                yield from _unknown(f"images[{index}].hosts[{place}]", "host", host, tuple(project.hosts))


def _package_complaints(project: Project) -> Iterator[tuple[str, str]]:
    for image, packages in project.packages.items():
        if image not in project.images:
            yield f"packages.{image}", f"the image {image!r} is not carried; add it to images"
        seen: set[str] = set()
        for index, pin in enumerate(packages):
            name = distribution_name(pin)
            if name in seen:
                yield f"packages.{image}[{index}]", f"{name} is named twice"
            seen.add(name)
