"""Program that makes the result of a study and its report in all formats, for one service.

It reads a `Request` from its input and writes the parts one after the other to its output, then a
`Contents`, then the number of bytes of that. It is a process of its own: a study of
thousands of trials keeps Python busy for many seconds, in which threads of the service, also that
of the dispatcher, would wait for the interpreter's lock; and only a process can be limited in
memory and time, and killed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import BaseModel

from handssl.errors import HandsslError

LIMIT_S = 300
MEMORY_BYTES = 4 * 2**30
OUTPUT_BYTES = 2**30
LENGTH_DIGITS = 20
_NICENESS = 10


class Request(BaseModel):
    """What to make.

    Attributes:
        study: Name of the study.
        storage: Folder of the results.
        tracking_uri: URI of MLflow, for the links of the report.
    """

    study: str
    storage: Path
    tracking_uri: str


class Place(NamedTuple):
    """Place of a part in the output.

    Attributes:
        offset: First byte.
        length: Number of bytes.
        sha256: Digest of the part, hexadecimal.
    """

    offset: int
    length: int
    sha256: str


class Contents(BaseModel):
    """Contents of the output.

    Attributes:
        parts: Place of each part: `result`, `shown` and the formats of the report.
        trials: Ids of the trials of the study.
        best: Id of the trial with the best encoder; empty if there is none.
        began: Version of the study in the ledger before the report was read.
        version: The same with its trials that other studies have run first.
    """

    parts: Mapping[str, Place]
    trials: tuple[str, ...]
    best: str
    began: str
    version: str


def write_results(asked: Request, out: BinaryIO) -> None:
    """Write result and report of a study.

    Args:
        asked: What to make.
        out: File at its beginning.
    """
    from handssl.ledger import Ledger
    from handssl.report.formats.writing import FORMATS
    from handssl.report.of_study import study_report
    from handssl.service.results.of_report import job_result, shown_result

    with closing(Ledger.existing(asked.storage)) as ledger:
        began = ledger.studies.version(asked.study)
        found = study_report(asked.study, asked.storage, asked.tracking_uri)
        trials = tuple(dict.fromkeys(row.trial_id for row in found.rows if row.trial_id))
        version = ledger.studies.version(asked.study, trials)
    result = job_result(found)
    contents = Contents(
        parts={
            "result": _write(out, result.model_dump_json()),
            "shown": _write(out, shown_result(result, found).model_dump_json()),
            **{name: _write(out, form.render(found)) for name, form in FORMATS.items()},
        },
        trials=trials,
        best=result.best.trial_id if result.best else "",
        began=began,
        version=version,
    )
    text = contents.model_dump_json().encode()
    out.write(text + f"{len(text):0{LENGTH_DIGITS}d}".encode())
    out.flush()


def _write(out: BinaryIO, text: str) -> Place:
    data, offset = text.encode(errors="replace"), out.tell()
    out.write(data)
    return Place(offset, len(data), hashlib.sha256(data).hexdigest())


def _limit() -> None:
    """Give way to the service, and end before using too much memory, disk or time."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    signal.alarm(LIMIT_S)  # also if the service was killed meanwhile


def main() -> int:
    """Make what the input asks for; return the exit code."""
    _limit()
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for libraries that print
        try:
            write_results(Request.model_validate_json(sys.stdin.buffer.read()), out)
        except HandsslError as error:
            sys.stderr.write(str(error))
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
