"""How the shim gets into processes that nobody edits: ``PYTHONPATH``, ``run``, ``enable``, workers.

Each way leads to ``bootstrap/sitecustomize.py``, which makes the shim wait for torch.
"""

import os
import sys

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")


def route() -> str:
    """How ``import compat_shim`` came about: one of the routes that ``status`` shows."""
    file = os.path.join(BOOTSTRAP, "sitecustomize.py")
    if not any(getattr(finder, "__file__", None) == file for finder in sys.meta_path):
        return "import compat_shim"
    from compat_shim import env

    if BOOTSTRAP not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        return "enable"
    return env.started_by() or "sitecustomize"
