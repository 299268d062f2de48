"""Write the dashboards: `python -m handssl.service.grafana dashboards/grafana`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from handssl.service.grafana.queue import QUEUE
from handssl.service.grafana.sweep import SWEEP


def files() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    return {
        f"{one.name}.json": json.dumps(one.document(), indent=2) + "\n" for one in (SWEEP, QUEUE)
    }


def main(folder: Path) -> None:
    """Write the dashboards into a folder."""
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
