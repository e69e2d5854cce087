"""Activation, each time in a process of its own, on the fake torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from .helpers import ROOT, fake_torch, python, run

CREATE = "from torch._inductor.ir import FallbackKernel; made = FallbackKernel.create(1); "


@pytest.fixture
def torch(tmp_path: Path) -> Path:
    return fake_torch(tmp_path)


def warnings(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("compat_shim: ")]


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


def test_off_makes_the_import_do_nothing_and_activate_still_works(torch: Path) -> None:
    done = run(
        "import sys; before = list(sys.meta_path)\n"
        "import small_features, compat_shim\n"
        "assert sys.meta_path == before and not compat_shim.is_active()\n"
        f"{CREATE}\n"
        "assert made == ['FallbackKernel', 1]\n"
        "compat_shim.activate()\n"
        "assert FallbackKernel.create(1) == ['FallbackKernel', 1, 'lowered']",
        torch,
        COMPAT_SHIM="off",
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("none", ["DISABLED"] * 3),
        ("tag", ["APPLIED", "DISABLED", "DISABLED"]),
        ("lowering", ["APPLIED"] * 3),
    ],
)
def test_the_environment_chooses_the_features(torch: Path, features: str, expected: list[str]) -> None:
    done = run(
        "import small_features, compat_shim, torch._inductor.ir\n"
        "print(*(each.verdict for each in compat_shim.status().features))",
        torch,
        COMPAT_SHIM_FEATURES=features,
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")


def test_a_wrong_variable_is_one_warning_that_names_the_allowed_values(torch: Path) -> None:
    done = run(
        "import small_features, compat_shim, torch; compat_shim.activate(); assert compat_shim.is_active()\n"
        "compat_shim.deactivate(); compat_shim.activate(); print(compat_shim.status().problems)",
        torch,
        COMPAT_SHIM="yes",
    )
    (line,) = warnings(done.stderr)
    assert "COMPAT_SHIM='yes' is not one of auto, off, strict" in line
    assert "COMPAT_SHIM='yes'" in done.stdout


def test_strict_raises_for_a_wrong_variable() -> None:
    done = python("-c", "import compat_shim", COMPAT_SHIM="strict", COMPAT_SHIM_FEATURES="lowring")
    assert done.returncode == 1
    assert "ShimError: COMPAT_SHIM_FEATURES names 'lowring'" in done.stderr


UNKNOWN = (
    "import compat_shim, torch; {create}\n"
    "assert made == ['FallbackKernel', 1] and not hasattr(torch.Tag, 'out')\n"
    "first, *others = [each.verdict for each in compat_shim.status().features]\n"
    "assert first == 'UNKNOWN_RELEASE' and set(others) == set(['DISABLED'])"
)


@pytest.mark.parametrize("features", ["import small_features\n", ""], ids=["small features", "the real features"])
@pytest.mark.parametrize("version", ["2.16.0", "garbage"])
def test_on_an_unknown_release_all_is_stock_with_one_warning(tmp_path: Path, version: str, features: str) -> None:
    done = run(features + UNKNOWN.format(create=CREATE), fake_torch(tmp_path, version))
    (line,) = warnings(done.stderr)
    assert line.startswith(f"compat_shim: tag: UNKNOWN_RELEASE: found torch {version}, expected ")
    assert "COMPAT_SHIM=off" in line


def test_strict_fails_the_import_of_an_unknown_torch(tmp_path: Path) -> None:
    done = python(
        "-c", "import small_features, compat_shim, torch", torch=fake_torch(tmp_path, "2.16.0"), COMPAT_SHIM="strict"
    )
    assert done.returncode == 1
    assert "ShimError: tag: UNKNOWN_RELEASE: found torch 2.16.0" in done.stderr


@pytest.mark.parametrize("features", ["import small_features\n", ""], ids=["small features", "the real features"])
def test_status_before_torch_is_pending_and_does_not_import_it(torch: Path, features: str) -> None:
    done = run(
        f"import sys\n{features}import compat_shim\n"
        "status = compat_shim.status()\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'torch']\n"
        "assert status.torch == '2.10.0+cpu' and status.active and not status.good\n"
        "assert {each.verdict for each in status.features} == {'PENDING'}\n"
        "print(status)",
        torch,
    )
    assert done.stdout.count("PENDING") >= 3
    assert done.stderr == ""


def test_a_shim_that_cannot_start_leaves_torch_as_it_is_with_one_warning(torch: Path) -> None:
    done = run(f"import sys; sys.modules['packaging.version'] = None; import compat_shim; {CREATE} print(made)", torch)
    assert done.stdout.strip() == "['FallbackKernel', 1]"
    (line,) = warnings(done.stderr)
    assert "the shim could not start" in line


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


def test_imported_by_a_backend_that_torch_loads_last_it_starts_at_once(torch: Path) -> None:
    init = torch / "torch" / "__init__.py"
    init.write_text(
        init.read_text() + "\ndef _import_device_backends():\n    import compat_shim\n_import_device_backends()\n"
    )
    run(f"import small_features, torch; assert torch.Tag.out == 'out'; {CREATE} assert made[-1] == 'lowered'", torch)


@pytest.mark.parametrize("where", ["torch/__init__.py", "torch/_inductor/ir.py"])
@pytest.mark.parametrize("threads", [True, False])
def test_a_torch_that_is_half_imported_is_served_when_it_is_whole(torch: Path, where: str, threads: bool) -> None:
    file = torch / where
    if threads:
        file.write_text("import gate; gate.begun.set(); gate.go_on.wait(10)\n" + file.read_text())
    else:
        file.write_text("import compat_shim\n" + file.read_text())
    (torch / "gate.py").write_text("import threading\nbegun, go_on = threading.Event(), threading.Event()\n")
    # The line of a function counts for nothing, its source does: the fingerprint stays as it is.
    run(
        "import small_features, sys\n"
        f"if {threads}:\n"
        "    import gate, threading\n"
        "    made = []\n"
        "    def load():\n"
        "        from torch._inductor.ir import FallbackKernel\n"
        "        made.append(FallbackKernel.create(1))\n"
        "    thread = threading.Thread(target=load); thread.start()\n"
        "    assert gate.begun.wait(10)\n"
        "    import compat_shim\n"
        "    assert 'PENDING' in [each.verdict for each in compat_shim.status().features]\n"
        "    gate.go_on.set(); thread.join(10)\n"
        "    assert made == [['FallbackKernel', 1, 'lowered']], made\n"
        "import torch._inductor.ir, compat_shim\n"
        f"{CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'], made\n"
        "assert compat_shim.status().good and torch.Tag.out == 'out'\n"
        "assert type(torch.__spec__).__name__ == 'ModuleSpec' and 'exec_module' not in vars(torch.__loader__)",
        torch,
    )


def test_activate_makes_up_for_an_import_that_the_hook_did_not_see(torch: Path) -> None:
    run(
        "import sys, small_features, compat_shim\n"
        "from importlib.machinery import PathFinder\n"
        "class First(PathFinder): pass\n"
        "sys.meta_path.insert(0, First)\n"
        "import torch\n"
        "assert {each.verdict for each in compat_shim.status().features} == {'PENDING'}\n"
        f"sys.meta_path.remove(First); compat_shim.activate(); {CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'] and compat_shim.status().good",
        torch,
    )


@pytest.mark.parametrize("stub", ["types.ModuleType('torch')", "mock.MagicMock()"])
def test_a_stub_in_torch_s_place_is_not_torch_and_the_real_one_is_served(torch: Path, stub: str) -> None:
    done = run(
        f"import sys, types, small_features; from unittest import mock; sys.modules['torch'] = {stub}\n"
        "import compat_shim; compat_shim.activate()\n"
        "assert {each.verdict for each in compat_shim.status().features} == {'PENDING'}\n"
        f"del sys.modules['torch']; {CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'] and compat_shim.status().good",
        torch,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("before", ["", "import torch._inductor.ir; "])
def test_interrupted_while_it_applies_it_leaves_torch_as_it_was_and_begins_anew(torch: Path, before: str) -> None:
    run(
        f"import sys, small_features; {before}\n"
        "import os; os.environ['COMPAT_SHIM'] = 'off'\n"
        "from compat_shim.patching.kinds import Add as add\n"
        "change, interrupts = add.change, ['Ctrl-C']\n"
        "def interrupted(patch):\n"
        "    do, undo = change(patch)\n"
        "    def half():\n"
        "        do()\n"
        "        if interrupts: raise KeyboardInterrupt(interrupts.pop())\n"
        "    return half, undo\n"
        "add.change = interrupted\n"
        "finders = list(sys.meta_path)\n"
        "os.environ['COMPAT_SHIM'] = 'auto'\n"
        "del sys.modules['compat_shim']\n"
        "for _ in range(2):\n"
        "    try: import compat_shim, torch\n"
        "    except KeyboardInterrupt:\n"
        "        assert not hasattr(sys.modules.get('torch'), 'Tag') or not hasattr(sys.modules['torch'].Tag, 'out')\n"
        f"assert not interrupts; {CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'], made\n"
        "assert compat_shim.status().good\n"
        "compat_shim.deactivate()\n"
        "assert sys.meta_path == finders and not [part for part in sys.path if 'bootstrap' in part]",
        torch,
    )


def test_activate_takes_up_what_an_interrupt_has_left(torch: Path) -> None:
    run(
        "import small_features, compat_shim, torch\n"
        "import torch._inductor.ir\n"
        "from compat_shim import process\n"
        "from compat_shim.patching.patch import Finding, Verdict\n"
        "compat_shim.deactivate(); compat_shim.activate()\n"
        "plan = process.owner().engine.plans['lowering']\n"
        "plan.undo.pop()[1](); plan.finding = Finding(Verdict.PENDING)\n"
        f"compat_shim.activate(); {CREATE}\n"
        "assert made == ['FallbackKernel', 1, 'lowered'] and compat_shim.status().good",
        torch,
    )


def test_the_package_has_its_public_names_and_no_others() -> None:
    run(
        "import compat_shim\n"
        "names = ('activate', 'deactivate', 'is_active', 'status')\n"
        "assert all(callable(getattr(compat_shim, name)) for name in names)\n"
        "assert compat_shim.__version__[0].isdigit()\n"
        "try: compat_shim.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit('no error')"
    )
