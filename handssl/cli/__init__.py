"""The command line: parses, calls, prints, and turns errors into exit codes."""

from __future__ import annotations


def main() -> int:
    """Run the `handssl` command and return its exit code: 0 done, 2 bad input, 130 interrupted."""
    from handssl.cli.app import invoke
    from handssl.cli.secret_masking import mask_outputs

    mask_outputs()
    return invoke()


__all__ = ["main"]
