"""A group of commands whose help says of each what it does."""

from __future__ import annotations

import click


class Group(click.Group):
    """Lists its commands with the whole of their first sentence, which click would cut off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line or more for each command."""
        shown = {name: one for name, one in sorted(self.commands.items()) if not one.hidden}
        rows = [(name, one.get_short_help_str(limit=1000)) for name, one in shown.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
