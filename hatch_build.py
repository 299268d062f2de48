"""Writes into wheels and source archives which commit they were built from."""

from __future__ import annotations

import json
import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the commit file of handssl; in an editable installation git itself says the commit."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file outside the checkout, and have it packed."""
        module = Path(self.root) / "handssl" / "runtime" / "installation.py"
        installed = runpy.run_path(str(module))
        state = installed["git_state"]()
        if version == "editable" or not state:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="handssl-build-")
        file = Path(self._folder.name) / installed["COMMIT_FILE"]
        file.write_text(json.dumps(state) + "\n", encoding="utf-8")
        build_data["force_include"][str(file)] = f"handssl/{file.name}"
