"""The commands of `handssl`: they parse, call, and print."""
