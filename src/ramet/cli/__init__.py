"""The command ``ramet``: a table of verbs (`ramet.cli.verbs`), each a function in a file about what it is for.

A verb's name is that of its function and its help is the docstring, examples included. It takes the command line as it
was parsed, prints, and returns the exit status. What it needs is imported when it runs, so that help comes at once.
"""

from ramet.cli.line import main
from ramet.cli.verbs import GROUPS, VERBS, Verb

__all__ = ["GROUPS", "VERBS", "Verb", "main"]
