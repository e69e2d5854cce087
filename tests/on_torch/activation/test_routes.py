"""Each route, on the real torch: an unmodified program and its workers have their calls lowered."""

from __future__ import annotations

import os
import site
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compat_shim.activation import BOOTSTRAP
from support.processes import SUPPORT

PROGRAM = str(SUPPORT / "programs" / "unmodified.py")
ROOT = str(Path(BOOTSTRAP).parents[2])
RUN = (sys.executable, "-m", "compat_shim", "run", "--", sys.executable)
LOWERED = {"stock": False, "lowered": True}
STOCK = {"route": None, "stock": True}

Run = Callable[..., Any]


def test_run_reaches_the_program_and_its_workers(run_command: Run) -> None:
    assert run_command(*RUN, PROGRAM, "spawn", "lower").json == [{"route": "run", **LOWERED}] * 2


def test_the_folder_on_pythonpath_reaches_the_program_and_its_workers(run_command: Run) -> None:
    path = os.pathsep.join([BOOTSTRAP, ROOT])
    done = run_command(sys.executable, PROGRAM, "spawn", "lower", env={"PYTHONPATH": path})
    assert done.json == [{"route": "sitecustomize", **LOWERED}] * 2


def test_enable_reaches_the_program_and_its_workers_until_disable(run_command: Run, tmp_path: Path) -> None:
    # An environment of its own on top of this one, which must stay as it is.
    venv.create(tmp_path, symlinks=True, with_pip=False)
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    packages.joinpath("below.pth").write_text("\n".join([ROOT, *site.getsitepackages()]))
    # -P: not the checkout that the tests may be run in.
    python, nothing = str(tmp_path / "bin" / "python"), {"PYTHONPATH": ""}
    run_command(python, "-P", "-m", "compat_shim", "enable", env=nothing)
    assert run_command(python, PROGRAM, "spawn", "lower", env=nothing).json == [{"route": "enable", **LOWERED}] * 2
    run_command(python, "-P", "-m", "compat_shim", "disable", env=nothing)
    assert run_command(python, PROGRAM, "fork", env=nothing).json == [STOCK] * 2


def test_off_leaves_the_program_and_its_workers_as_they_are(run_command: Run) -> None:
    assert run_command(*RUN, PROGRAM, "spawn", env={"COMPAT_SHIM": "off"}).json == [STOCK] * 2


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_torchrun_and_the_workers_of_a_data_loader_are_reached(run_command: Run, tmp_path: Path) -> None:
    tmp_path.joinpath("rank.py").write_text(
        "import os, sys, torch\n"
        "def active(worker): print('worker', sys.modules['compat_shim'].status().route, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    print('rank', sys.modules['compat_shim'].status().route, flush=True)\n"
        "    if os.environ['RANK'] == '0':\n"
        "        list(torch.utils.data.DataLoader([1], num_workers=1, worker_init_fn=active,\n"
        "                                         multiprocessing_context='forkserver'))\n"
    )
    done = run_command(*RUN, *TORCHRUN, str(tmp_path / "rank.py"))
    assert sorted(done.stdout.split("\n")) == ["", "rank run", "rank run", "worker run"]


# The main module imports the shim where its children, which run the module again, do not.
IMPORT = """
import json, multiprocessing, sys

def active():
    import torch
    return sys.modules["compat_shim"].is_active() and hasattr(torch.Tag, "out_variant")

if __name__ == "__main__":
    import compat_shim
    from torch._inductor.async_compile import AsyncCompile
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        child = pool.apply_async(active)
        worker = AsyncCompile.process_pool().submit(eval, "'compat_shim' in __import__('sys').modules")
        print(json.dumps([worker.result(), child.get()]))
"""


def test_children_and_compile_workers_of_a_process_that_imported_the_shim_are_reached(
    run_command: Run, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(IMPORT)
    env = {"PYTHONPATH": ROOT, "TORCHINDUCTOR_COMPILE_THREADS": "2"}
    assert run_command(sys.executable, str(script), env=env).json == [True, True]


# The snippet of docs/activation.md.
AUTOLOAD = """
def activate():
    try:
        import compat_shim
    except ImportError:
        pass
"""


def test_an_entry_point_of_torch_backends_activates_the_shim_and_never_fails(run_python: Run, tmp_path: Path) -> None:
    info = tmp_path / "my_package-1.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    info.joinpath("entry_points.txt").write_text("[torch.backends]\nmy_shim = my_package:activate\n")
    tmp_path.joinpath("my_package.py").write_text(AUTOLOAD)
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), ROOT])}
    active = "import sys, torch; print('compat_shim' in sys.modules and hasattr(torch.Tag, 'out_variant'))"
    assert run_python(active, env=env).stdout == "True\n"
    run_python("import sys; sys.modules['compat_shim'] = None; import torch", env=env)
    disabled = run_python(active, env={**env, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"})
    assert disabled.stdout == "False\n"
