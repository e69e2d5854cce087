"""``python -m packages [NAME ...]``: install, look at and run packages, one virtual environment each.

What has a result for its version already is left out, so an interrupted run goes on where it was; ``--again`` makes it
anew. An environment is removed when its package is done. Needs ``uv`` beside this Python, and some 6 GB at a time.
``--here`` runs the programs of the packages that are named in this environment, which has them, on a GPU too.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compat_shim.demo.progress import Progress
from packages.catalogue import PACKAGES, Package

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
PROGRAMS = Path(__file__).with_name("programs")
FREE_GB = 8
PROGRESS = Progress()


def result_file(package: Package) -> Path:
    """Where the result of a package is kept."""
    return RESULTS / f"{package.name}-torch-{package.torch}.json"


def here(names: list[str], device: str, folder: Path) -> None:
    """Run programs in this environment; what their packages need is there."""
    import torch  # the other ways do without

    on = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    for package in PACKAGES:
        if package.name not in names:
            continue
        ops = _json(sys.executable, _inspection(package))
        programs = [_ran(package, sys.executable, program, device) for program in package.programs]
        version = torch.__version__.partition("+")[0]
        head = _head(package) | {"torch": version, "how": f"run on one {on}"}
        file = folder / f"{package.name}-torch-{version}-{device}.json"
        file.write_text(json.dumps({**head, "ops": ops, "programs": programs}, indent=1) + "\n")
        print(file.read_text(), flush=True)


def main() -> int:
    """Run the packages that are named, or all; returns how many failed."""
    parser = argparse.ArgumentParser(prog="python -m packages", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--again", action="store_true", help="also those that have a result")
    parser.add_argument("--here", metavar="FOLDER", type=Path, help="in this environment; results into FOLDER")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="for --here")
    options = parser.parse_args()
    if options.here:
        here(options.names, options.device, options.here)
        return 0
    failed = 0
    for package in PACKAGES:
        if options.names and package.name not in options.names:
            continue
        file = result_file(package)
        if file.exists() and not options.again and json.loads(file.read_text())["requirement"] == package.requirement:
            print(f"{package.requirement}: there is a result")
            continue
        try:
            found = _looked_at(package)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            failed += 1
            print(f"{package.requirement}: {error}\n{getattr(error, 'stderr', '')}"[-2000:], file=sys.stderr)
            continue
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{package.requirement}: {file.relative_to(ROOT)}", flush=True)
    return failed


def _looked_at(package: Package) -> dict[str, Any]:
    if shutil.disk_usage(tempfile.gettempdir()).free < FREE_GB * 2**30:
        raise OSError(f"less than {FREE_GB} GB are free in {tempfile.gettempdir()}")
    with tempfile.TemporaryDirectory(prefix="compat-shim-packages-") as folder:
        PROGRESS.say(f"{package.requirement}: installing it and torch {package.torch}")
        python = _environment(package, Path(folder) / "env")
        PROGRESS.say(f"{package.requirement}: looking at its ops")
        head = {**_head(package), "disk_mb": _megabytes(Path(folder))}
        if not package.imports:
            return {
                **head,
                "how": "schemas in its libraries",
                "ops": _json(python, ["-m", "packages.wheel", package.name]),
            }
        ops = _json(python, _inspection(package))
        programs = [_ran(package, python, program) for program in package.programs]
        return {**head, "how": "run on the CPU" if programs else "loaded", "ops": ops, "programs": programs}


def _head(package: Package) -> dict[str, Any]:
    return {
        "requirement": package.requirement,
        "torch": package.torch,
        "date": datetime.date.today().isoformat(),
        "flags": list(package.flags),
    }


def _inspection(package: Package) -> list[str]:
    return ["-m", "packages.inspect_ops", ",".join(package.imports), ",".join(package.namespaces)]


def _environment(package: Package, folder: Path) -> str:
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    if uv is None:
        raise OSError("uv is not installed")
    python = str(folder / "bin" / "python")
    others = [f"torch=={package.torch}", *package.extras, "packaging", "numpy", "setuptools"]
    install = [uv, "pip", "install", "--quiet", "--python", python]
    steps = [[uv, "venv", "--quiet", "--python", sys.executable, str(folder)]]
    if package.alone:
        steps += [[*install, "--no-deps", package.requirement], [*install, *others]]
    else:
        steps += [[*install, package.requirement, *others]]
    no_gpu = {**os.environ, "UV_OVERRIDE": str(ROOT / "tests" / "uv-overrides.txt")}
    for words in steps:
        subprocess.run(words, env=no_gpu, check=True, capture_output=True, text=True, timeout=1800)
    return python


def _ran(package: Package, python: str, program: str, device: str = "cpu") -> dict[str, Any]:
    """A program by stock torch, and by ``run`` with the flags of the package."""
    file, on = str(PROGRAMS / program), ["--device", device]
    title = Path(file).read_text().partition('"""')[2].partition("\n")[0].strip('"')
    found: dict[str, Any] = {"program": program, "title": title}
    flags = list(package.flags)
    found["command"] = " ".join(["python -m compat_shim run", *flags, "-- python", program])
    try:
        PROGRESS.say(f"{package.requirement}: {program}, by stock torch alone")
        alone = _json(python, ["-m", "packages.measure", "--stock-only", file, *on])
        words = ["-m", "compat_shim", "run", *flags, "--", python, "-m", "packages.measure", file, *on]
        PROGRESS.say(f"{package.requirement}: {program}, by the shim and stock")
        seen = _json(python, words)
    except subprocess.CalledProcessError as error:
        return {**found, "error": error.stderr.strip().splitlines()[-1:]}
    digests = seen.pop("digests")
    equal = {*digests["stock"], *digests["shim"]} == {alone["stock"]}
    return {**found, "equal": equal, "equal to eager": alone["eager"] == alone["stock"], **seen}


def _json(python: str, words: list[str]) -> Any:
    """What the last line of a program in the package's environment says."""
    with tempfile.TemporaryDirectory() as cache:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPAT_SHIM")}
        env = {**kept, "PYTHONPATH": path, "TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_VEC_ISA_OK": "1"}
        if "packages.wheel" in words:
            env["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"  # a backend that does not load here
        done = subprocess.run([python, *words], env=env, capture_output=True, text=True, timeout=1200)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def _megabytes(folder: Path) -> int:
    sizes = (file.lstat().st_size for file in folder.rglob("*") if not file.is_symlink())
    return round(sum(sizes) / 2**20)


if __name__ == "__main__":
    sys.exit(main())
