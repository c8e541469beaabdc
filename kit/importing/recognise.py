"""Which job a command or a file stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.importing.draft import Draft, Invocation
from kit.importing.environment import take_environment
from kit.importing.export_arguments import api_draft, export_draft
from kit.importing.invocation import invocations, program
from kit.importing.llamafactory_words import word_arguments
from kit.importing.serve_line import config_options, serve_draft
from kit.importing.shell_words import Command, read_commands
from kit.importing.talk_arguments import board_draft, talk_draft
from kit.importing.train_arguments import train_draft
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from kit.importing.draft import ReadText

_FACTORY = ("llamafactory-cli", "lmf", "llamafactory.cli", "llamafactory.launcher", "llamafactory")
_SCRIPTS = {
    "train.py": "train",
    "train_bash.py": "train",
    "export_model.py": "export",
    "api.py": "api",
    "api_demo.py": "api",
    "cli_demo.py": "chat",
}
_NO_JOB = {
    "eval": "kit has no job that runs LLaMA-Factory's benchmarks",
    "webchat": "a job of kind board has that chat as one of its pages",
}
_SERVERS = {
    "vllm.entrypoints.openai.api_server": "vllm",
    "vllm.entrypoints.api_server": "vllm",
    "api_server.py": "vllm",
    "sglang.launch_server": "sglang",
}
_NEWER = {
    "model_class",
    "train_dataset",
    "dist_config",
    "peft_config",
    "output_dir",
    "export_dir",
    "quant_config",
}
_VLLM_OTHERS = ("bench", "chat", "complete", "collect-env", "run-batch", "deploy")


def drafts_of_command(words: tuple[str, ...], where: str, read: ReadText) -> tuple[Draft, ...]:
    """Return the jobs of one command line, whose words no shell will touch again. Raises ConfigError."""
    return _drafts((Command(words),), where, read)


def drafts_of_text(text: str, where: str, read: ReadText) -> tuple[Draft, ...]:
    """Return the jobs of a file: arguments in YAML or JSON, or a script. Raises ConfigError for neither."""
    document = _mapping(text)
    if document is not None:
        return (_draft_of_document(document, where, read),)
    return _drafts(read_commands(text, where), where, read)


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        document = parse_yaml(text, "")
    except ConfigError:
        return None
    if not isinstance(document, dict) or any(not isinstance(key, str) or " " in key for key in document):
        return None
    return document


def _drafts(commands: tuple[Command, ...], where: str, read: ReadText) -> tuple[Draft, ...]:
    found = []
    for invocation in invocations(commands, where, read):
        draft = _draft(invocation)
        if draft is not None:
            found.append(draft)
    if not found:
        seen = ", ".join(dict.fromkeys(command.words[0] for command in commands)) or "nothing"
        raise ConfigError(
            "nothing that kit has a job for",
            where=where,
            why=f"found: {seen}",
            fix=(
                "give LLaMA-Factory's YAML, or a line of llamafactory-cli, torchrun, accelerate launch, "
                "deepspeed, vllm serve or docker run"
            ),
        )
    return tuple(found)


def _draft(invocation: Invocation) -> Draft | None:
    name, words = program(invocation)
    if name in _FACTORY:
        return _factory(invocation, words[0] if words else "", words[1:])
    if name in _SCRIPTS and words:
        return _factory(invocation, _SCRIPTS[name], words)
    if name in _SERVERS:
        return serve_draft(invocation, words, _SERVERS[name])
    if name == "vllm":
        return _vllm(invocation, words)
    return _data(invocation) if name == "easy-dataset" else None


def _factory(invocation: Invocation, verb: str, words: tuple[str, ...]) -> Draft:
    if verb.endswith((".yaml", ".yml", ".json")) or verb.startswith("-"):
        verb, words = "train", (verb, *words)  # llamafactory.launcher and the scripts name no verb
    if verb == "train":
        return train_draft(invocation, word_arguments(invocation, words))
    if verb == "export":
        return export_draft(invocation, word_arguments(invocation, words))
    if verb in ("api", "chat"):
        return _talk(invocation, word_arguments(invocation, words), verb)
    if verb == "webui":
        return board_draft(invocation)
    raise invocation.refusal(
        f"llamafactory-cli {verb} cannot be had yet".replace("  ", " "),
        _NO_JOB.get(verb, "it is none of LLaMA-Factory's commands that kit knows"),
        "import train, export, api, chat or webui",
    )


def _vllm(invocation: Invocation, words: tuple[str, ...]) -> Draft:
    verb = words[0] if words else ""
    if verb == "serve":
        return serve_draft(invocation, words[1:], "vllm")
    known = verb in _VLLM_OTHERS
    raise invocation.refusal(
        f"vllm {verb} cannot be had" if known else f"vllm has no command {verb!r}",
        "kit's jobs serve a model" if known else "",
        "import vllm serve",
    )


def _data(invocation: Invocation) -> Draft:
    body: dict[str, Any] = {}
    if invocation.published:
        address, port, inside = invocation.published[0]
        body = {"bind": address, "port": port}
        invocation.changes.renamed(f"-p {port}:{inside}", f"bind: {address}, port: {port}")
    env = take_environment(invocation)
    if env:
        body["env"] = env
    return Draft(invocation, "data", body)


def _draft_of_document(document: dict[str, Any], where: str, read: ReadText) -> Draft:
    invocation = Invocation((), {}, where, read)
    if "model_name_or_path" in document:
        return _of_arguments(invocation, dict(document))
    if "model" in document and _NEWER & document.keys():
        raise invocation.refusal(
            "this form of LLaMA-Factory's files cannot be had yet",
            "it is that of its v1, which kit does not launch",
            "write model_name_or_path, dataset and the rest as LLaMA-Factory 0.9 has them",
        )
    if "model" in document or "model_tag" in document or "model-tag" in document:
        options = config_options(document)
        words = [word for option in options for word in (f"--{option.given}", *option.values)]
        return serve_draft(invocation, tuple(words), "vllm")
    kinds = {
        "services": "it is a compose file: give the command that it runs",
        "zero_optimization": "it is DeepSpeed's: give the training that names it",
        "compute_environment": "it is accelerate's: give the accelerate launch line that names it",
        "jobs": "it is a kit.yaml",
    }
    why = next((reason for key, reason in kinds.items() if key in document), "it has no model_name_or_path")
    raise invocation.refusal("this file is no job", why, "give LLaMA-Factory's YAML or a command line")


def _of_arguments(invocation: Invocation, args: dict[str, Any]) -> Draft:
    if "export_dir" in args:
        return export_draft(invocation, args)
    if "task" in args and "save_dir" in args:
        raise invocation.refusal(
            "this file is LLaMA-Factory's eval", _NO_JOB["eval"], "import train, export, api, chat or webui"
        )
    if {"do_train", "do_predict", "do_eval", "dataset", "output_dir"} & args.keys():
        return train_draft(invocation, args)
    return _talk(invocation, args, "api")


def _talk(invocation: Invocation, args: dict[str, Any], verb: str) -> Draft:
    """Return a job of LLaMA-Factory's own, or a serve job where an engine of serving was asked for."""
    if args.get("infer_backend", "huggingface") in ("vllm", "sglang"):
        return api_draft(invocation, args, verb)
    return talk_draft(invocation, args, verb)
