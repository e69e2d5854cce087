"""For tox: what a line of ``tox.ini`` cannot say.

A release of torch that does not serve this Python is skipped with a line that says so. The demo's environment has what
serves GPUs only where there is a GPU.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from typing import Any

from tox.plugin import impl
from tox.tox_env.errors import Skip


@impl
def tox_on_install(tox_env: Any, arguments: Any, section: str, of_type: str) -> None:
    """Ask for the wheel before the environment's dependencies are installed.

    Raises:
        Skip: the index has the release, and no wheel of it for this Python; or torch.compile does not know it.
    """
    if of_type != "deps" or not hasattr(arguments, "lines"):  # the package and what it needs come as lists
        return
    wanted = next((str(one) for one in arguments.lines() if str(one).replace(" ", "").startswith("torch==")), None)
    if wanted is None:
        return
    version = ".".join(map(str, tox_env.base_python.version_info[:2]))
    if wanted.replace(" ", "").startswith("torch==2.9.") and version == "3.14":
        raise Skip("torch 2.9 has a wheel for Python 3.14, but its torch.compile raises there")
    # Of tox-uv, which tox installs for itself after it has read this file.
    from uv import find_uv_bin

    python = str(tox_env.env_python())
    options = ["--dry-run", "--no-deps", "--only-binary", "torch", "--python", python]
    asked = subprocess.run([find_uv_bin(), "pip", "install", *options, wanted], capture_output=True, text=True)
    said = " ".join(asked.stderr.split())
    if asked.returncode and re.search(r"has no wheels with a matching|requires a different Python", said):
        raise Skip(f"{wanted.replace(' ', '')} has no wheel for Python {version}")


@impl
def tox_add_env_config(env_conf: Any, state: Any) -> None:
    """Where there is NVIDIA's driver, the demo runs on the GPU: nothing that torch asks for is left out."""
    if env_conf.env_name == "demo" and _has_nvidia_driver():
        env_conf["set_env"].update({"UV_OVERRIDE": ""})


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")  # the library by which torch itself finds the driver
    except OSError:
        return False
    return True
