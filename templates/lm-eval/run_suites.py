"""`kind: eval` with suites: lm-eval puts questions with choices to each served model, one after the other.

Writes scores.json (by model, suite and subject), answers.jsonl (a line a question: what each model picked)
and report.md. Runs in the train image, which has lm-eval. The key of an endpoint comes out of a file that
only the run's user reads, and stands in no command line.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from choices import LETTERS
from kept import Kept, say, write_whole
from letters import letter_tokens, task_of
from prepare_suites import asked_of
from suite_report import answers, report, scores_of, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from prepare_suites import Asked
    from suite_report import Picked, Suites

_SECONDS = 60
_MARGIN = 2
"""Tokens of a window that lm-eval leaves free: one for the answer, one for itself."""
_NO_WINDOW = 2048
"""Where an endpoint does not say how long prompts may be."""


@dataclass
class Fitted:
    """How prompts were made to fit."""

    shorter: set[tuple[str, int]] = field(default_factory=set)
    """Suite and row of questions with fewer solved ones before them than asked for."""
    cut: set[tuple[str, int]] = field(default_factory=set)
    """Those that are longer than the window by themselves, and lose their beginning."""

    def __str__(self) -> str:
        parts = []
        if self.shorter:
            parts.append(f" {len(self.shorter)} questions have fewer, to fit into the model's window.")
        if self.cut:
            parts.append(
                f" {len(self.cut)} are longer than the window by themselves and lost their beginning."
            )
        return "".join(parts)


def window_of(endpoint: dict[str, Any], key: str) -> int:
    """Return how many tokens the endpoint's models take, as it says. Raises OSError or ValueError."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{endpoint['url']}/v1/models", headers=headers)  # noqa: S310 - kit wrote it
    with urllib.request.urlopen(request, timeout=_SECONDS) as reply:  # noqa: S310
        models = json.load(reply)["data"]
    names = [model["id"] for model in models]
    if endpoint["model"] not in names:
        raise ValueError(f"{endpoint['url']} serves {', '.join(names)}, not {endpoint['model']}")
    # Of an adapter vLLM tells none: its model's holds.
    return max((model.get("max_model_len") or 0 for model in models), default=0) or _NO_WINDOW


def fitting(one: Asked, suite: str, shots: int, fits: Callable[[str], bool], fitted: Fitted) -> str:
    """Return a question's prompt with as many solved ones as fit, as MMLU's own test does."""
    for fewer in range(shots, -1, -1):
        prompt = one.prompt(fewer)
        if fits(prompt):
            break
        (fitted.shorter if fewer else fitted.cut).add((suite, one.row))
    return prompt


def write_tasks(
    folder: Path, suite: str, prompts: list[tuple[Asked, str]], encode: Callable[[str], list[int]]
) -> list[str]:
    """Write the tasks of a suite, one for each number of choices; return their names. Raises ValueError."""
    groups: dict[int, list[int]] = defaultdict(list)
    for place, (one, _) in enumerate(prompts):
        groups[len(one.question.choices)].append(place)
    names = []
    for choices, places in sorted(groups.items()):
        name, letters = f"kit-{suite}-{choices}", LETTERS[:choices]
        join, tokens = letter_tokens(encode, prompts[places[0]][1], letters)
        rows = (
            {
                "place": place,
                "prompt": prompts[place][1] + join,
                "letter": letters[prompts[place][0].question.gold],
            }
            for place in places
        )
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        # JSON is YAML, and lm-eval looks for files of that name.
        task = json.dumps(task_of(name, str(file), tokens))
        (folder / f"{name}.yaml").write_text(task, encoding="utf-8")
        names.append(name)
    return names


def picked_of(samples: list[dict[str, Any]], suite: str) -> list[tuple[int, str]]:
    """Return, of what lm-eval found, the place of each question and its letter. Raises ValueError."""
    found = [(int(sample["doc"]["place"]), str(sample["filtered_resps"][0])) for sample in samples]
    strange = [letter for _, letter in found if len(letter) != 1 or letter not in LETTERS]
    if strange:
        raise ValueError(
            f"{len(strange)} of {len(found)} answers to {suite} are no letters, such as {strange[0]!r:.40}: "
            "the endpoint does not act on allowed_token_ids"
        )
    return found


class Run:
    """The work of one run."""

    def __init__(self, run: Path, earlier: Path) -> None:
        def read(name: str) -> Any:
            return json.loads((run / name).read_text(encoding="utf-8"))

        self.settings = read("suites.json")
        self.fitted = Fitted()
        self.version = ""
        self._run = run
        self._asked = list(zip(read("endpoints.json"), read("secret/keys.json"), strict=True))
        self.suites: Suites = {
            suite["name"]: asked_of(
                Path(suite["file"]), suite["columns"], self.settings["shots"], self.settings["limit"]
            )
            for suite in self.settings["suites"]
        }
        total = sum(map(len, self.suites.values())) * len(self._asked)
        self.kept = Kept(run, earlier, total)

    def measure(self) -> dict[str, Picked]:
        """Return what every model picks, one model after the other. Raises OSError or ValueError."""
        # The same questions for all: the smallest window holds.
        window = min(window_of(endpoint, opens["api_key"]) for endpoint, opens in self._asked)
        return {
            endpoint["name"]: self._measure(number, endpoint, opens["api_key"], window)
            for number, (endpoint, opens) in enumerate(self._asked)
        }

    def _measure(self, number: int, endpoint: dict[str, Any], key: str, window: int) -> Picked:
        from served import VERSION, Served, ask

        self.version = VERSION
        model = Served(endpoint, key, window, self.settings["concurrency"], self.kept)
        folder = self._run / "suites" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        tasks: dict[str, list[str]] = {}
        for suite, asked in self.suites.items():
            prompts = [(one, self._prompt(model.tok_encode, suite, one, window)) for one in asked]
            tasks[suite] = write_tasks(folder, suite, prompts, model.tok_encode)
        samples = ask(model, folder, [name for names in tasks.values() for name in names])
        return {suite: self._letters(samples, suite, names) for suite, names in tasks.items()}

    @staticmethod
    def _letters(samples: dict[str, list[dict[str, Any]]], suite: str, names: list[str]) -> list[str]:
        found = (one for name in names for one in picked_of(samples[name], suite))
        return [letter for _, letter in sorted(found)]

    def _prompt(self, encode: Callable[[str], list[int]], suite: str, one: Asked, window: int) -> str:
        def fits(prompt: str) -> bool:
            return len(encode(prompt)) + 1 <= window - _MARGIN

        return fitting(one, suite, self.settings["shots"], fits, self.fitted)

    def told(self) -> str:
        """Return what the report says of how it was measured."""
        what = "the share of questions, 0 to 100, whose right letter is the likeliest of theirs to follow"
        shots = f"Solved questions before each: {self.settings['shots']}."
        return f"lm-eval {self.version}: {what}. {shots}{self.fitted}"

    def write(self, picked: dict[str, Picked], seconds: float) -> None:
        """Write what the job makes; table.json comes last."""
        out = self._run / "out"
        scores = {
            model: {suite: scores_of(asked, found[suite]) for suite, asked in self.suites.items()}
            for model, found in picked.items()
        }
        lines, rows = table(scores), list(answers(self.suites, picked))
        more = {
            "shots": self.settings["shots"],
            "limit": self.settings["limit"],
            "fewer_shots": len(self.fitted.shorter),
            "cut": len(self.fitted.cut),
            "taken_over": self.kept.taken_over,
            "lm_eval": self.version,
            "seconds": seconds,
        }
        document = json.dumps({"models": scores, **more}, ensure_ascii=False) + "\n"
        write_whole(out / "scores.json", iter([document]))
        write_whole(out / "report.md", report(lines, rows, self.told()))
        write_whole(out / "answers.jsonl", (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        write_whole(out / "table.json", iter([json.dumps(lines, ensure_ascii=False) + "\n"]))
        self.kept.remove()


def main(run: Path, earlier: Path) -> int:
    """Do it; return the exit status."""
    started = time.monotonic()
    try:
        work = Run(run, earlier)
        picked = work.measure()
    except (OSError, ValueError) as error:
        say(f"stopped: {error}")
        return 1
    if work.kept.taken_over:
        say(f"{work.kept.taken_over} answers were taken over from a run that was cut off")
    say(work.told())
    work.write(picked, round(time.monotonic() - started, 1))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
