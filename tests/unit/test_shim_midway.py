"""Activation while torch is half imported, hidden or a stub, and activation that is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.workbench import CREATE, run


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
        "status = compat_shim.status()\n"
        "assert {each.verdict for each in status.features} == {'PENDING'} and not status.good\n"
        "assert 'has not seen; call compat_shim.activate()' in status.problems[0]\n"
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
