"""The exit codes of all commands. ``run`` and ``explain SCRIPT`` end with the code of what they run."""

DONE = 0
FOUND_WRONG = 1  # the command did its work, and something is not as it should be
MISUSED = 2  # it could not do its work: wrong arguments (argparse's code, too), no such op, no torch
# A shell's codes for a command that cannot be executed, and for one that is not there.
CANNOT_EXECUTE = 126
NOT_FOUND = 127
