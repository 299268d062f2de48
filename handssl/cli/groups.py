"""Command group whose help shows the whole summary of each command."""

from __future__ import annotations

import click


class Group(click.Group):
    """Command group that lists commands with their whole first sentence, which click truncates."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summary of each command."""
        shown = {name: one for name, one in sorted(self.commands.items()) if not one.hidden}
        rows = [(name, one.get_short_help_str(limit=1000)) for name, one in shown.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
