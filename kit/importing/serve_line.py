"""`vllm serve …`, `python -m vllm.entrypoints.openai.api_server …`, `sglang.launch_server …`. Pure.

Flags: vLLM's and SGLang's argument parsers at the versions of kit's stacks. What is not renamed here goes
into `args`, where kit holds it against the flags of the version that the stack has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kit.importing.change import shown
from kit.importing.draft import Draft, ModelPlace
from kit.importing.environment import take_environment, uses_modelscope
from kit.importing.options import Option, read_options, typed
from kit.importing.serve_mistakes import MISTAKES, OF_OTHERS
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.importing.draft import Invocation

_SHORT = {"tp": "tensor_parallel_size", "pp": "pipeline_parallel_size", "dp": "data_parallel_size"}
_SHORT |= {"q": "quantization", "O": "compilation_config", "ep": "enable_expert_parallel"}
_SGLANG = {
    "model_path": "model",
    "tp": "tensor_parallel_size",
    "tp_size": "tensor_parallel_size",
    "context_length": "max_model_len",
    "mem_fraction_static": "gpu_memory_utilization",
    "max_running_requests": "max_num_seqs",
    "dp": "dp_size",
}
_SWITCHES = (
    *("trust_remote_code", "enforce_eager", "fully_sharded_loras", "calculate_kv_scales", "headless"),
    *("skip_tokenizer_init", "allow_credentials", "ray_workers_use_nsight", "return_tokens_as_token_ids"),
    *(
        "multi_step_stream_outputs",
        "use_tqdm_on_load",
        "use_v2_block_manager",
        "async_scheduling",
        "log_requests",
    ),
    *("is_embedding", "allow_auto_truncate", "show_time_cost", "stream_output", "engine_use_ray"),
    *("worker_use_ray", "load_in_4bit", "load_in_8bit", "share", "stream"),
)
_SWITCH_BEGINNINGS = ("enable_", "disable_", "no_")
_LISTS: tuple[str, ...] = (
    "served_model_name",
    "lora_modules",
    "prompt_adapters",
    "api_key",
    "middleware",
    "allowed_media_domains",
)
_LISTS += ("cuda_graph_bs", "lora_paths")
_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
_FILES = (
    "chat_template",
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_ca_certs",
    "tool_parser_plugin",
    "hf_config_path",
)
_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
_ADAPTERS = (
    "`adapters` of a serve job names train jobs of kit.yaml; one that is made elsewhere must be merged first"
)
_DROPPED = {
    "download_dir": "the model is shipped, nothing is downloaded",
    "hf_token": "fetching is online, and a secret does not belong into kit.yaml",
    "api_key": "a secret stays out of what an import writes; `api_key_file` of the job names a file with it",
    "enable_reasoning": "`reasoning` of the job says it, in the words of the stack's vLLM",
    "nnodes": "`hosts` of the job names them; kit sets ranks and where they meet",
    "node_rank": "`hosts` of the job names them; kit sets ranks and where they meet",
    "dist_init_addr": "`hosts` of the job names them; kit sets ranks and where they meet",
    "lora_modules": _ADAPTERS,
    "lora_paths": _ADAPTERS,
    "prompt_adapters": "kit mounts no adapter beside a served model",
    "enable_lora": _ADAPTERS,
}


def serve_draft(invocation: Invocation, words: tuple[str, ...], engine: str) -> Draft:
    """Return the serve job of an engine's command line. Raises ConfigError when it names no model."""
    return _Serve(invocation, engine).draft(words)


def _is_switch(name: str) -> bool:
    return name in _SWITCHES or name.startswith(_SWITCH_BEGINNINGS)


def _size(text: str) -> int | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text, re.ASCII)
    return int(float(found[1]) * _SIZES.get(found[2], 1)) if found else None


class _Serve:
    def __init__(self, invocation: Invocation, engine: str) -> None:
        self.invocation, self.engine, self.changes = invocation, engine, invocation.changes
        self.body: dict[str, Any] = {"engine": engine}
        self.args: dict[str, Any] = {}
        self.model, self.revision, self.tokenizer = "", "", ""
        self.own: dict[str, Callable[[str, str], None]] = {
            "model": self._model,
            "model_tag": self._model,
            "revision": self._revision,
            "tokenizer": self._tokenizer,
            "tensor_parallel_size": self._whole("tensor_parallel"),
            "pipeline_parallel_size": self._whole("pipeline_parallel"),
            "max_num_seqs": self._whole("max_num_seqs"),
            "quantization": self._quantization,
            "max_model_len": self._length,
            "gpu_memory_utilization": self._share,
            "dtype": self._dtype,
            "reasoning_parser": self._reasoning,
            "host": self._host,
            "port": self._whole("port"),
        }

    def draft(self, words: tuple[str, ...]) -> Draft:
        names = {
            word.partition("=")[0].lstrip("-").replace("-", "_") for word in words if word.startswith("-")
        }
        line = read_options(words, switches={name for name in names if _is_switch(name)}, lists=_LISTS)
        if line.rest:
            self._model(line.rest[0], line.rest[0])
        for word in line.rest[1:]:
            self.changes.dropped(word, f"{self.engine} takes one model, and this word belongs to no flag")
        for option in (*self._config(line.last("config")), *line.options):
            self._option(option)
        if not self.model:
            raise self.invocation.refusal(
                "no model", f"{self.engine} serves one", f"{self.engine}'s MODEL is missing"
            )
        self._tokens()
        env = take_environment(self.invocation)
        self._address()
        if self.invocation.gpus is None:
            self.invocation.gpus = self.body.get("tensor_parallel", 1) * self.body.get("pipeline_parallel", 1)
        if env:
            self.body["env"] = env
        if self.args:
            self.body["args"] = self.args
        place = ModelPlace(
            self.invocation.on_host(self.model), self.revision, uses_modelscope(self.invocation)
        )
        return Draft(self.invocation, "serve", self.body, place)

    def _config(self, path: str | None) -> tuple[Option, ...]:
        if path is None:
            return ()
        text = self.invocation.text_of(path)
        if text is None:
            raise self.invocation.refusal(
                f"{path} cannot be read", "--config names it", "run kit import where it is"
            )
        document = parse_yaml(text, path)
        return config_options(document if isinstance(document, dict) else {})

    def _option(self, option: Option) -> None:
        name = option.name.partition(".")[0]
        name = (_SGLANG if self.engine == "sglang" else _SHORT).get(name, name)
        given = " ".join((option.given, *option.values))
        value = option.values[-1] if option.values else ""
        if name == "config":
            self.changes.renamed(given, "the job's keys", "kit has no such file")
        elif name in self.own and value:
            self.own[name](given, value)
        elif name == "served_model_name" and option.values:
            self._served(given, option.values)
        elif name in _DROPPED:
            hidden = name in ("api_key", "hf_token")
            self.changes.dropped(f"{option.given} …" if hidden else given, _DROPPED[name])
        elif self.engine == "vllm" and name in OF_OTHERS:
            self._other(given, name, value)
        elif self.engine == "vllm" and name in MISTAKES:
            self.changes.dropped(given, MISTAKES[name])
        elif name in _FILES and "{" not in value:
            self.changes.dropped(given, "it names a file, and kit mounts none but the model's")
        else:
            self._args(option, name, given)

    def _other(self, given: str, name: str, value: str) -> None:
        right, whose = OF_OTHERS[name]
        if right in self.own and value:
            self.own[right](given, value)
            self.changes.changed(given, right.replace("_", "-"), f"no flag of vLLM: {whose}")

    def _args(self, option: Option, name: str, given: str) -> None:
        key = name.replace("_", "-")
        path = option.name.split(".")[1:]
        value: Any = True if not option.values else typed(option.values[0])
        if len(option.values) > 1:
            value = [typed(item) for item in option.values]
        if path:
            value = _nested(self.args.get(key), path, value)
        elif not option.values and key.startswith("no-"):
            key, value = key.removeprefix("no-"), False
        self.args[key] = value
        same = option.given.lstrip("-").partition(".")[0] == key
        (self.changes.taken if same else self.changes.renamed)(given, f"args.{key}")

    def _model(self, given: str, value: str) -> None:
        self.model = value
        self.changes.renamed(given, "model", "kit ships it, and the job names it")

    def _revision(self, given: str, value: str) -> None:
        self.revision = value
        self.changes.renamed(given, "models.*.revision", "kit pins it in kit.lock")

    def _tokenizer(self, given: str, value: str) -> None:
        self.tokenizer = value
        same = value == self.model
        self.changes.dropped(
            given, "it is the model's own" if same else "kit mounts the model's folder alone"
        )

    def _whole(self, key: str) -> Callable[[str, str], None]:
        def take(given: str, value: str) -> None:
            if not value.isdigit() or not value.isascii() or not int(value):
                self.changes.dropped(given, f"{key} must be a whole number above 0")
                return
            self.body[key] = int(value)
            self.changes.renamed(given, f"{key}: {int(value)}")

        return take

    def _length(self, given: str, value: str) -> None:
        size = _size(value)
        if not size:
            self.changes.dropped(given, "max_model_len must be a number of tokens; the model's own holds")
            return
        self.body["max_model_len"] = size
        self.changes.renamed(given, f"max_model_len: {size}")

    def _share(self, given: str, value: str) -> None:
        share = typed(value)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            self.changes.dropped(given, "gpu_memory_utilization is a share above 0, at most 1")
            return
        self.body["gpu_memory_utilization"] = share
        self.changes.renamed(given, f"gpu_memory_utilization: {share}")

    def _dtype(self, given: str, value: str) -> None:
        if value not in _DTYPES:
            self.changes.dropped(given, f"dtype is one of {', '.join(_DTYPES)}")
            return
        self.body["dtype"] = value
        self.changes.renamed(given, f"dtype: {value}")

    def _reasoning(self, given: str, value: str) -> None:
        self.body["reasoning"] = value
        self.changes.renamed(given, f"reasoning: {value}", "kit says it in the words of the stack's engine")

    def _quantization(self, given: str, value: str) -> None:
        self.body["quantization"] = value
        self.changes.renamed(given, f"quantization: {value}")

    def _served(self, given: str, values: tuple[str, ...]) -> None:
        self.body["served_name"] = values[0]
        self.changes.renamed(given, f"served_name: {values[0]}")
        if len(values) > 1:
            self.changes.dropped(" ".join(values[1:]), "a serve job has one name; this one is the first")

    def _host(self, given: str, value: str) -> None:
        address = "127.0.0.1" if value == "localhost" else value
        self.body["bind"] = address
        self.changes.renamed(given, f"bind: {address}")

    def _tokens(self) -> None:
        # With no name given, the engine answers to what it was started with; kit's job to its model's name.
        if "served_name" in self.body or not re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", self.model, re.ASCII):
            return
        self.body["served_name"] = self.model
        self.changes.added(f"served_name: {self.model}", "so requests find it under the name that they use")

    def _address(self) -> None:
        inside = self.body.get("port", 8000 if self.engine == "vllm" else 30000)
        published = next((entry for entry in self.invocation.published if entry[2] == inside), None)
        if published:
            self.body["bind"], self.body["port"] = published[0], published[1]
            self.changes.renamed(
                f"-p {published[1]}:{published[2]}",
                f"bind: {published[0]}, port: {published[1]}",
                "serving uses the host's network",
            )
        elif "bind" not in self.body and self.engine == "vllm":
            self.changes.added(
                "bind: 127.0.0.1 (kit's default)",
                "vLLM alone listens on every address; write bind: 0.0.0.0 if the intranet is to reach it",
            )
        if self.engine == "sglang":
            self.body.setdefault("port", 30000)


def _nested(before: Any, path: list[str], value: Any) -> dict[str, Any]:
    tree = dict(before) if isinstance(before, dict) else {}
    tree[path[0]] = _nested(tree.get(path[0]), path[1:], value) if path[1:] else value
    return tree


def config_options(document: dict[Any, Any]) -> tuple[Option, ...]:
    """Return the options that vLLM's own config file stands for."""
    options = []
    for key, value in document.items():
        name = str(key).replace("-", "_")
        if value is None or value is False:
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        options.append(Option(str(key), name, tuple(shown(_plain(item)) for item in values)))
    return tuple(options)


def _plain(value: Any) -> Any:
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
