"""What the variables ask of the activation, and what it does on a torch that is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.workbench import CREATE, fake_torch, python, run, warnings


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
@pytest.mark.parametrize("version", ["2.99.0", "garbage"])
def test_on_an_unknown_release_all_is_stock_with_one_warning(tmp_path: Path, version: str, features: str) -> None:
    done = run(features + UNKNOWN.format(create=CREATE), fake_torch(tmp_path, version))
    (line,) = warnings(done.stderr)
    assert line.startswith(f"compat_shim: tag: UNKNOWN_RELEASE: found torch {version}, expected ")
    assert "COMPAT_SHIM=off" in line


def test_strict_fails_the_import_of_an_unknown_torch(tmp_path: Path) -> None:
    done = python(
        "-c", "import small_features, compat_shim, torch", torch=fake_torch(tmp_path, "2.99.0"), COMPAT_SHIM="strict"
    )
    assert done.returncode == 1
    assert "ShimError: tag: UNKNOWN_RELEASE: found torch 2.99.0" in done.stderr


def test_a_shim_that_cannot_start_leaves_torch_as_it_is_with_one_warning(torch: Path) -> None:
    done = run(f"import sys; sys.modules['packaging.version'] = None; import compat_shim; {CREATE} print(made)", torch)
    assert done.stdout.strip() == "['FallbackKernel', 1]"
    (line,) = warnings(done.stderr)
    assert "the shim could not start" in line


def test_user_code_is_loaded_once_as_soon_as_torch_is_there(torch: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("import sys; print('mine', hasattr(sys.modules['torch'], 'Tag'), __name__ == '__main__')\n")
    done = run(
        "import small_features, compat_shim; print('before'); import torch; print('after')\n"
        "compat_shim.deactivate(); compat_shim.activate()",
        torch,
        COMPAT_SHIM_IMPORT=str(mine),
    )
    assert done.stdout.splitlines() == ["before", "mine True False", "after"]
    assert done.stderr == ""


def test_user_code_that_fails_is_one_warning_and_an_error_if_strict(torch: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("raise ValueError('wrong')\n")
    code = "import small_features, compat_shim, torch; print(compat_shim.status().problems)"
    done = run(code, torch, COMPAT_SHIM_IMPORT=str(mine))
    (line,) = warnings(done.stderr)
    assert f"COMPAT_SHIM_IMPORT: {mine} could not be loaded: ValueError: wrong" in line
    assert "ValueError: wrong" in done.stdout
    strict = python("-c", code, torch=torch, COMPAT_SHIM_IMPORT=str(mine), COMPAT_SHIM="strict")
    assert strict.returncode == 1
    assert "ValueError: wrong" in strict.stderr
