"""Rename identifiers by the word table: in code, in dotted paths and between backquotes.

    python scripts/rename_words.py

Only whole names of the tokens of Python are renamed, so that words of sentences stay. Running it
again changes nothing.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("handssl", "tune_spaces", "tests")
WORDS = {
    "Copies": "BackgroundCopies",
    "ForeseenStage": "PlannedStage",
    "How": "JobOptions",
    "Own": "CustomTransformConfig",
    "OwnTransformation": "CustomTransformation",
    "Owns": "CustomTransforms",
    "Registered": "Preregistration",
    "RemoteTrial": "CheckpointMirror",
    "Running": "ExecutionOptions",
    "_said_by_class": "_describe_by_class",
    "_said_of_end": "_describe_end",
    "_start_told": "_start_reported",
    "build_own": "build_custom",
    "change_own": "apply_custom",
    "foresee": "plan_stages",
    "foreseen": "planned",
    "insist": "call",
    "known_study": "recorded_study",
    "load_own": "load_custom",
    "look_now_and_then": "poll",
    "registered": "preregistration",
    "said_cost": "describe_cost",
    "said_extension": "describe_extension",
    "said_of_loss": "describe_failure",
    "silence_s": "hang_timeout_s",
    "told_in": "read_outcome",
    "weigh": "trial_size",
}
_OPTIONS = {"at_once": "max_concurrent_trials", "running": "options", "_running": "_options"}
_CONTEXT = {
    "sweeping": "context",
    "_sweeping": "_context",
    "company": "peers",
    "_company": "_peers",
}
_WARM = {
    "origin": "warm_start",
    "origins": "warm_starts",
    "_origin": "_warm_start",
    "_origins": "_warm_starts",
}
_CUSTOM = {"own": "custom"}
# Names that mean this in these files alone.
WORDS_OF_FILE = {
    "handssl/execution/tune/trainable.py": {"watched": "watchdog", **_OPTIONS, **_WARM},
    "handssl/execution/watchdog.py": {"watched": "watchdog"},
    "handssl/cli/commands/study.py": {"placing": "execution_options"},
    "handssl/cli/commands/study_control.py": {"placing": "execution_options"},
    "handssl/cli/commands/submit.py": _OPTIONS,
    "handssl/cli/execution_options.py": {"placing": "execution_options", **_OPTIONS},
    "handssl/distributed/local_ranks.py": {"together": "spawn_ranks"},
    "handssl/bench/scaling.py": {"together": "spawn_ranks"},
    "handssl/doctor/short_training.py": {"together": "spawn_ranks"},
    "tests/distributed/test_local_ranks.py": {"together": "spawn_ranks"},
    "handssl/execution/api.py": {"running": "options"},
    "handssl/execution/cluster/check.py": {"look": "check_ray"},
    "handssl/execution/cluster/local_ray.py": _OPTIONS,
    "handssl/execution/search.py": _OPTIONS,
    "handssl/execution/stream.py": _OPTIONS,
    "handssl/execution/supervision/driver_process.py": _OPTIONS,
    "handssl/execution/supervision/supervisor.py": _OPTIONS,
    "handssl/execution/study_runner.py": {"running": "options", **_CONTEXT, **_WARM},
    "handssl/execution/tune/executor.py": {**_OPTIONS, **_CONTEXT, **_WARM},
    "handssl/execution/tune/searcher.py": {**_OPTIONS, **_CONTEXT},
    "handssl/execution/train/executor.py": _WARM,
    "handssl/execution/warm_starts.py": _WARM,
    "handssl/planning/data.py": {"look": "inspect_dataset"},
    "handssl/planning/execution_options.py": _OPTIONS,
    "handssl/planning/resources.py": _OPTIONS,
    "handssl/planning/study_plan.py": {"look": "inspect_dataset", "running": "options"},
    "handssl/planning/trial_size.py": {"_weigh": "_trial_size", "Weight": "TrialSize"},
    "handssl/service/dispatch/driver.py": _OPTIONS,
    "handssl/service/queue/job.py": {"at_once": "max_concurrent_trials"},
    "handssl/tracking/mlflow_check.py": {"look": "check_mlflow"},
    "handssl/training/branch.py": _WARM,
    "handssl/training/trial.py": _WARM,
    "handssl/transforms/config.py": _CUSTOM,
    "handssl/transforms/custom_check.py": _CUSTOM,
    "handssl/transforms/custom_loading.py": _CUSTOM,
    "handssl/transforms/opencv.py": _CUSTOM,
    "handssl/transforms/views.py": _CUSTOM,
    "handssl/training/data_checks.py": _CUSTOM,
    "handssl/training/config.py": _CUSTOM,
}


# Keys and values of stored documents keep their names.
STORED = {"at_once", "own", "registered", "running", "silence_s"}


def main() -> None:
    """Rename in every file."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            words = WORDS | WORDS_OF_FILE.get(str(file.relative_to(ROOT)), {})
            text = file.read_text(encoding="utf-8")
            if (new := renamed(text, words)) != text:
                file.write_text(new, encoding="utf-8")
                print(file.relative_to(ROOT))


def renamed(text: str, words: dict[str, str]) -> str:
    """Return a module with other names.

    Example:
        >>> renamed("How(1)  # `How`. How so", {"How": "JobOptions"})
        'JobOptions(1)  # `JobOptions`. How so'
    """
    lines = text.splitlines(keepends=True)
    for (row, start), (last_row, end), new in reversed(list(_changes(text, words))):
        lines[row - 1 : last_row] = [lines[row - 1][:start] + new + lines[last_row - 1][end:]]
    return "".join(lines)


def _changes(
    text: str, words: dict[str, str]
) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
    names = "|".join(words)
    # Between backquotes, at the end of a dotted path, or the whole of a string.
    quoted = re.compile(rf"(?<=[`.:])(?:{names})\b|(?<=^\")(?:{names})(?=\"$)")
    # In docstrings, at the start of the line of an argument.
    argument = re.compile(rf"(?m)(?<=^ {{8}})(?:{names})(?=: )|(?<=^ {{12}})(?:{names})(?=: )")
    example = re.compile(r"(?m)^ +(?:>>>|\.\.\.) .*$")
    braces = re.compile(r"\{[^{}]*\}")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        new = token.string
        if token.type == tokenize.NAME:
            new = words.get(token.string, token.string)
        elif token.string.strip('"') in STORED:
            continue
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            new = quoted.sub(lambda found: words[found[0]], token.string)
            new = argument.sub(lambda found: words[found[0]], new)
            new = example.sub(lambda found: _names_in(found[0], words), new)
            if token.string.startswith("f"):
                new = braces.sub(lambda found: _names_in(found[0], words), new)
        if new != token.string:
            yield token.start, token.end, new


def _names_in(text: str, words: dict[str, str]) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda found: words.get(found[0], found[0]), text)


if __name__ == "__main__":
    main()
