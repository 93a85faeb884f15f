"""The command line: one verb per room, errors in one line, a traceback only with --debug.

`app` is the command, `options` what its verbs share, `data_verbs`, `run_verbs` and `study_verbs` the verbs
themselves, and `entry` where the program starts and ends.
"""

from tinyloc.cli import data_verbs, run_verbs, study_verbs  # noqa: F401  (they register their verbs)
from tinyloc.cli.entry import main

__all__ = ["main"]
