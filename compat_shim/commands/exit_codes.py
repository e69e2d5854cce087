"""The exit codes of all commands. ``run`` and ``explain SCRIPT`` end with the code of what they run."""

DONE = 0
FOUND_WRONG = 1  # something is not as it should be, or ``enable`` or ``disable`` is not possible
MISUSED = 2  # wrong arguments (argparse's code, too), or what ``failures.py`` tells in one line
INTERRUPTED = 130  # a shell's code for a program that was ended by Ctrl-C
# A shell's codes for a command that cannot be executed, and for one that is not there.
CANNOT_EXECUTE = 126
NOT_FOUND = 127
BROKEN_PIPE = 141  # and for one that was writing to a reader that has gone: 128 + SIGPIPE
