"""Activation, each time in a process of its own, on the fake torch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.processes import ROOT
from support.workbench import CREATE, python, run


@pytest.mark.parametrize(
    "imports",
    [
        "import compat_shim, torch",
        "import torch, compat_shim",
        "import torch._inductor.ir, compat_shim",
        "import compat_shim, torch._inductor.ir",
        "import importlib.util, compat_shim; importlib.util.find_spec('torch'); import torch",
    ],
)
def test_the_order_of_the_imports_does_not_matter(torch: Path, imports: str) -> None:
    done = run(
        f"import small_features; {imports}; {CREATE}\n"
        "import torch, torch._library._out_variant\n"
        "assert torch.Tag.out == 'out'\n"
        "assert made == ['FallbackKernel', 1, 'lowered'], made\n"
        "assert [each.verdict for each in compat_shim.status().features] == ['APPLIED'] * 3\n"
        "assert compat_shim.status().good",
        torch,
    )
    assert done.stderr == ""


def test_torch_looks_as_if_it_had_been_imported_without_us(torch: Path) -> None:
    run(
        "import small_features, compat_shim, torch\n"
        "assert type(torch.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert torch.__spec__.loader is torch.__loader__\n"
        "assert 'exec_module' not in vars(torch.__loader__)",
        torch,
    )


def test_importing_the_package_imports_neither_torch_nor_anything_slow() -> None:
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, {path!r}); {imports}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    slow = {"torch", "dataclasses", "logging", "typing", "packaging", "importlib.metadata", "json", "re", "inspect"}
    loaded = python("-S", "-I", "-c", code.format(path=str(ROOT), imports="import compat_shim")).stdout.split()
    assert "compat_shim.shim" in loaded
    assert slow.isdisjoint(loaded)
    baseline = python("-S", "-I", "-c", code.format(path=str(ROOT), imports="import os, types")).stdout.split()
    assert {name for name in loaded if not name.startswith("compat_shim")} - {*baseline} == {"_compat_shim_owner"}


def test_deactivate_gives_back_the_originals_and_activate_applies_again(torch: Path) -> None:
    run(
        "import small_features, torch, torch._library\n"
        "from torch._inductor.ir import FallbackKernel\n"
        "raw = vars(FallbackKernel)['create']\n"
        "import sys, compat_shim\n"
        "finders = list(sys.meta_path)\n"
        "for _ in range(2):\n"
        "    assert vars(FallbackKernel)['create'] is not raw and compat_shim.is_active()\n"
        "    assert FallbackKernel.create(1) == ['FallbackKernel', 1, 'lowered']\n"
        "    compat_shim.deactivate()\n"
        "    assert vars(FallbackKernel)['create'] is raw and not compat_shim.is_active()\n"
        "    assert not hasattr(torch.Tag, 'out') and 'torch._library._out_variant' not in sys.modules\n"
        "    assert {each.verdict for each in compat_shim.status().features} == {'DISABLED'}\n"
        "    compat_shim.deactivate()\n"
        "    compat_shim.activate()\n"
        "    assert compat_shim.status().route == 'activate()'",
        torch,
    )


def test_deactivated_before_torch_is_imported_nothing_is_applied(torch: Path) -> None:
    run(
        "import sys; before = list(sys.meta_path)\n"
        "import small_features, compat_shim\n"
        "compat_shim.deactivate()\n"
        f"assert sys.meta_path == before\n{CREATE}\n"
        "assert made == ['FallbackKernel', 1]",
        torch,
    )


def test_deactivated_while_torch_is_being_imported_nothing_is_applied(torch: Path) -> None:
    init = torch / "torch" / "__init__.py"
    init.write_text(init.read_text() + "\nimport compat_shim\ncompat_shim.deactivate()\n")
    run(
        "import small_features, compat_shim, torch\n"
        f"{CREATE}\n"
        "assert made == ['FallbackKernel', 1] and not hasattr(torch.Tag, 'out')\n"
        "assert not compat_shim.is_active()",
        torch,
    )


def test_a_callback_that_comes_after_deactivate_starts_nothing(torch: Path) -> None:
    run(
        "import small_features, compat_shim, torch\n"
        "from compat_shim import process\n"
        "compat_shim.deactivate()\n"
        "process.owner()._on_torch('torch')\n"
        "assert not compat_shim.is_active() and not hasattr(torch.Tag, 'out')",
        torch,
    )


@pytest.mark.parametrize("waiting", [True, False])
def test_a_second_import_or_a_second_copy_changes_nothing_and_can_deactivate(torch: Path, waiting: bool) -> None:
    later, earlier = ("import torch._inductor.ir", "pass") if waiting else ("pass", "import torch._inductor.ir")
    run(
        f"import sys, small_features; {earlier}\n"
        "import compat_shim as first\n"
        "finders = list(sys.meta_path)\n"
        "for name in [name for name in sys.modules if name.startswith('compat_shim')]:\n"
        "    if name != 'compat_shim.patches': del sys.modules[name]\n"
        "vars(small_features).pop('FEATURES', None)\n"
        "import compat_shim as second\n"
        f"assert second is not first and sys.meta_path == finders\n{later}\n"
        "from torch._inductor.ir import FallbackKernel\n"
        "assert FallbackKernel.create(1) == ['FallbackKernel', 1, 'lowered']\n"
        "assert first.is_active() and second.is_active()\n"
        "assert second.status().route == 'import compat_shim' and second.status().good\n"
        "second.deactivate()\n"
        "assert not first.is_active() and not second.is_active()\n"
        "assert FallbackKernel.create(1) == ['FallbackKernel', 1]\n"
        "second.activate()\n"
        "assert FallbackKernel.create(1) == ['FallbackKernel', 1, 'lowered']\n"
        "first.deactivate()\n"
        "assert FallbackKernel.create(1) == ['FallbackKernel', 1]",
        torch,
    )


@pytest.mark.parametrize("features", ["import small_features\n", ""], ids=["small features", "the real features"])
def test_status_before_torch_is_pending_and_does_not_import_it(torch: Path, features: str) -> None:
    done = run(
        f"import sys\n{features}import compat_shim\n"
        "status = compat_shim.status()\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'torch']\n"
        "assert status.torch == '2.10.0+cpu' and status.active and status.good and status.state == 'pending'\n"
        "assert {each.verdict for each in status.features} == {'PENDING'}\n"
        "print(status)",
        torch,
    )
    assert re.search(r"^pending    tag, .*: torch is not imported yet$", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def test_status_before_inductor_is_good_pending_and_says_what_it_waits_for(torch: Path) -> None:
    done = run(
        "import small_features, compat_shim, torch\n"
        "status = compat_shim.status()\n"
        "assert (status.good, status.state) == (True, 'pending')\n"
        "assert status.features[2].found == 'torch._inductor.ir is imported at the first compile'\n"
        "print(status)\n"
        "import torch._inductor.ir\n"
        "assert (compat_shim.status().good, compat_shim.status().state) == (True, 'active')",
        torch,
    )
    assert "\npending    lowering: torch._inductor.ir is imported at the first compile\n" in done.stdout


def test_threads_that_activate_at_once_activate_once(torch: Path) -> None:
    run(
        "import sys, threading, time, os; os.environ['COMPAT_SHIM'] = 'off'\n"
        "import small_features, compat_shim\n"
        "from compat_shim import env\n"
        "read = env.read\n"
        "env.read = lambda *given: [time.sleep(0.05), read(*given)][1]\n"
        "before = len(sys.meta_path)\n"
        "threads = [threading.Thread(target=compat_shim.activate) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert len(sys.meta_path) == before + 2, sys.meta_path\n"  # for torch and for multiprocessing
        f"{CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'], made",
        torch,
    )


def test_the_package_has_its_public_names_and_no_others() -> None:
    run(
        "import compat_shim\n"
        "names = ('activate', 'deactivate', 'is_active', 'status')\n"
        "assert all(callable(getattr(compat_shim, name)) for name in names)\n"
        "from compat_shim.patching import errors\n"
        "assert compat_shim.ShimError is errors.ShimError\n"
        "assert compat_shim.KernelContractError is errors.KernelContractError\n"
        "later = ['explain', 'functional_of', 'include_paths', 'pair_namespace', 'register_out_variant', 'tag_out']\n"
        "errors = ['ShimError', 'KernelContractError', '__version__']\n"
        "assert {*names, *later, *errors} <= {*dir(compat_shim)}\n"
        "assert compat_shim.__version__[0].isdigit()\n"
        "try: compat_shim.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit('no error')"
    )
