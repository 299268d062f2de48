"""Pretrain on a cluster and tell every event in a line: the driver that fault tests kill."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def tell(event: Any) -> None:
    known = {name: getattr(event, name, None) for name in ("epoch", "done", "text")}
    again = getattr(event, "replayed_steps", 0)
    print(json.dumps({"event": type(event).__name__, "again": again, **known}), flush=True)


def main(options: dict[str, Any]) -> None:
    from handssl.sweep.events import Tick
    from handssl.sweep.pretrain import pretrain
    from handssl.sweep.run_config import RunConfig
    from handssl.training import Execution

    workers = options["workers"]
    result = pretrain(
        RunConfig.load(Path(options["run"])),
        storage=Path(options["storage"]),
        workers=tuple(workers) if isinstance(workers, list) else workers,
        address=options["address"],
        execution=Execution(precision=options.get("precision", "float32"), device="cpu"),
        on_event=lambda event: None if isinstance(event, Tick) else tell(event),
    )
    outcome = [record.outcome for record in result.records]
    end = {"event": "Done", "outcome": outcome, "interrupted": result.interrupted}
    print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
