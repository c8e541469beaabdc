"""Tokenising before the ranks of a training meet, once on each host. Pure.

Left to itself, LLaMA-Factory tokenises in the first rank of each host while the others wait in a collective
operation, whose watchdog ends them after `ddp_timeout`. A step of its own needs no GPU and no rendezvous;
every rank then maps what it saved (`tokenized_path`) from the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.jobs.arguments import is_on
from kit.jobs.launch import LaunchFile
from kit.jobs.llamafactory import arguments_yaml
from kit.jobs.places import RUN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.host.facts import HostFacts
    from kit.project.job_model import TrainJob

TOKENS = "tokenized"
"""Folder of a run that the tokens are saved in."""
TOKENS_PATH = f"{RUN}/{TOKENS}"
LARGE = 64_000_000
"""Bytes of datasets from which tokenising is a step of its own: some minutes of it."""
WAIT_SECONDS = 10800
"""How long the ranks of one host wait for those of another, which tokenises longer."""
_ARGUMENTS, _PROGRAM, _SCRIPT = "tokenize.yaml", "tokenize_data.py", "train.sh"
_MOST_WORKERS = 16
_KEPT = {
    *(
        "model_name_or_path",
        "trust_remote_code",
        "use_fast_tokenizer",
        "resize_vocab",
        "split_special_tokens",
    ),
    *("add_tokens", "add_special_tokens", "new_special_tokens", "new_special_tokens_config"),
    *("init_special_tokens", "audio_sampling_rate", "crop_to_patches", "image_do_pan_and_scan"),
    *("image_max_pixels", "image_min_pixels", "use_audio_in_video", "video_fps", "video_max_pixels"),
    *("video_maxlen", "video_min_pixels"),
    *("template", "dataset", "dataset_dir", "media_dir", "cutoff_len", "train_on_prompt", "mask_history"),
    *("mix_strategy", "interleave_probs", "preprocessing_batch_size", "preprocessing_num_workers"),
    *("max_samples", "ignore_pad_token_for_loss", "val_size", "packing", "neat_packing", "tool_format"),
    *("default_system", "enable_thinking", "preserve_thinking"),
    # Stage ppo is refused without a reward model, which nobody asks here.
    "reward_model",
    *("stage", "do_train", "seed", "data_seed"),
}
"""Arguments that decide which tokens come of it; what is about devices and the training itself stays out."""


def is_first(job: TrainJob, data_bytes: Mapping[str, int]) -> bool:
    """Return whether a training tokenises before its ranks meet: as it says, or when its data is large."""
    if is_on(job.args.get("streaming")):
        return False
    if job.tokenize_first is not None:
        return job.tokenize_first
    return sum(data_bytes.get(name, 0) for name in job.datasets) >= LARGE


def first_command() -> tuple[str, ...]:
    """Return the words that tokenise and then train."""
    return ("sh", f"{RUN}/{_SCRIPT}")


def first_files(
    name: str, arguments: Mapping[str, Any], version: str, facts: Mapping[str, HostFacts], train: str
) -> tuple[LaunchFile, ...]:
    """Return the files of the step before the training of these arguments, which stand in `train`."""
    workers = min(_MOST_WORKERS, *(found.cores for found in facts.values()))
    own = {
        "preprocessing_num_workers": workers,
        **{key: value for key, value in arguments.items() if key in _KEPT},
        "tokenized_path": TOKENS_PATH,
        "output_dir": f"{RUN}/cache/tokenize",
        "report_to": "none",
    }
    program = data_folder("templates") / "llamafactory" / _PROGRAM
    return (
        LaunchFile(_ARGUMENTS, arguments_yaml(name, own, version)),
        LaunchFile(_PROGRAM, program.read_text(encoding="utf-8")),
        LaunchFile(_SCRIPT, _script(train)),
    )


def _script(train: str) -> str:
    # Without GPUs in sight it is one process, whatever the training is.
    return f"""\
set -e
echo 'kit: tokenising, before the ranks meet'
env -u FORCE_TORCHRUN CUDA_VISIBLE_DEVICES= python3 {RUN}/{_PROGRAM} {RUN}/{_ARGUMENTS}
echo 'kit: tokenised'
exec llamafactory-cli train {RUN}/{train}
"""
