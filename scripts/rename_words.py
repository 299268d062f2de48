"""Rename classes by the word table: in code, in dotted paths and between backquotes.

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
    "Board": "ProgressCache",
    "Bridge": "TuneReporter",
    "Companion": "ManagedSubprocess",
    "Company": "PeerCoordinator",
    "Dispatch": "TuneSearcher",
    "Feed": "ViewBatcher",
    "Hold": "TrialClaims",
    "Home": "JobWorkspace",
    "Judge": "TuneStopper",
    "KeptPort": "PersistentPort",
    "Located": "StagedDataset",
    "Note": "StudyMessage",
    "Notice": "WorkerEvent",
    "Patience": "RetryPolicy",
    "Places": "DatasetResolver",
    "Room": "FreeResources",
    "Site": "ClusterDataConfig",
    "Staffing": "WorkerScaling",
    "Sweeping": "StageContext",
    "_Alone": "SingleTrialRunner",
}
# Two classes had one name.
WORDS_OF_FILE = {
    "handssl/service/admission.py": {"_Room": "_Capacity"},
    "handssl/sweep/elsewhere.py": {"Copied": "MirroredRun"},
    "handssl/sweep/group.py": {"Copied": "DatasetCopied"},
    "handssl/sweep/worker.py": {"Copied": "DatasetCopied"},
}


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
        >>> renamed("Hold(1)  # `Hold`. Hold on", {"Hold": "TrialClaims"})
        'TrialClaims(1)  # `TrialClaims`. Hold on'
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
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        new = token.string
        if token.type == tokenize.NAME:
            new = words.get(token.string, token.string)
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            new = quoted.sub(lambda found: words[found[0]], token.string)
        if new != token.string:
            yield token.start, token.end, new


if __name__ == "__main__":
    main()
