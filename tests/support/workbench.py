"""What the unit tests are built from: modules with real source files, patches, subprocesses."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compat_shim.env import Settings
from compat_shim.patching import fingerprint
from compat_shim.patching.engine import Engine
from compat_shim.patching.import_hook import ImportHook
from compat_shim.patching.kinds import Wrap
from compat_shim.patching.patch import Feature, Finding, Patch, Undo, Verdict
from compat_shim.release import Release
from support.processes import ROOT, SUPPORT

FAKE_TORCH = SUPPORT / "fake_torch"
RELEASE = "2.10.0"
PREFIX = "lib_"  # of every module that a test makes
# Source: a call of what the fake torch has patched.
CREATE = "from torch._inductor.ir import FallbackKernel; made = FallbackKernel.create(1); "

SOURCE = """\
def plain(x):
    return ["plain", x]


def other(x):
    return ["other", x]


class Owner:
    def method(self, x):
        return ["method", x]

    @classmethod
    def build(cls, x):
        return [cls.__name__, x]

    @staticmethod
    def check(x):
        return ["check", x]


class Child(Owner):
    pass
"""


def settings(*features: str, mode: str = "auto", log: str = "warn") -> Settings:
    return Settings(mode, features, log, ())


def appending(word: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A ``make`` for Wrap: the wrapper appends ``word`` to what the original returns."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return [*original(*args, **kwargs), word]

        return wrapper

    return make


def wrap(target: str, word: str = "ours", **fields: Any) -> Wrap:
    fields = {"id": target.rpartition(":")[2], "why": "a test", "upstream": "#1", "make": appending(word), **fields}
    return Wrap(target=target, **fields)


def feature(name: str, *patches: Patch, **fields: Any) -> Feature:
    return Feature(name, f"the feature {name}", patches, **fields)


PLAIN = feature("one", wrap("lib_a:plain"))


def verdict_of(engine: Engine, name: str = "one") -> Verdict:
    return engine.plans[name].finding.verdict


@dataclasses.dataclass(frozen=True)
class Recorder(Patch):
    """A patch that changes nothing and writes down what is done with it."""

    events: list[str] = dataclasses.field(default_factory=list)
    error: BaseException | None = None

    def look(self) -> Finding:
        return Finding(Verdict.APPLIED)

    def apply(self) -> Undo:
        if self.error is not None:
            raise self.error
        self.events.append(f"apply {self.id}")
        return lambda: self.events.append(f"undo {self.id}")


class Bench:
    """Makes modules in a folder on ``sys.path``, a fingerprint table, and engines on them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.table: dict[str, dict[str, str | None]] = {}
        self.engines: list[Engine] = []
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setattr(fingerprint, "load", lambda: self.table)

    def write(self, name: str, source: str = SOURCE) -> Path:
        assert name.startswith(PREFIX)
        file = self.folder.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        return file

    def load(self, name: str, source: str = SOURCE) -> ModuleType:
        self.write(name, source)
        return importlib.import_module(name)

    def record(self, *features: Feature, release: str = RELEASE) -> None:
        """Enter the features' functions in the table as those of ``release``; imports nothing for good."""
        before = set(sys.modules)
        for target, found in fingerprint.record(name for each in features for name in each.fingerprinted()).items():
            self.table.setdefault(target, {})[release] = found
        for name in set(sys.modules) - before:
            if name.startswith(PREFIX):
                del sys.modules[name]
        if not self.table:
            self.table["any:function"] = {release: None}

    def engine(
        self,
        *features: Feature,
        release: str = RELEASE,
        mode: str = "auto",
        log: str = "warn",
        asked_for: tuple[str, ...] | None = None,
    ) -> Engine:
        ids = tuple(each.id for each in features) if asked_for is None else asked_for
        engine = Engine(settings(*ids, mode=mode, log=log), features, Release(release))
        self.engines.append(engine)
        return engine

    def started(self, *features: Feature, **options: Any) -> Engine:
        """An engine whose features' functions are recorded as they are now, started."""
        self.record(*features)
        engine = self.engine(*features, **options)
        engine.start()
        return engine


def fake_torch(folder: Path, version: str = "2.10.0+cpu") -> Path:
    """A copy of the fake torch with this version, and its fingerprints beside it."""
    copy = folder / "fake_torch"
    shutil.copytree(FAKE_TORCH, copy, ignore=shutil.ignore_patterns("__pycache__"))
    copy.joinpath("torch", "version.py").write_text(f"__version__ = {version!r}\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("fake_ir", copy / "torch" / "_inductor" / "ir.py")
    assert spec is not None
    assert spec.loader is not None
    ir = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ir)
    target = "torch._inductor.ir:FallbackKernel.create"
    table = {target: {RELEASE: fingerprint.hash_of(vars(ir.FallbackKernel)["create"].__func__)}}
    copy.joinpath("fingerprints.json").write_text(json.dumps({"targets": table}), encoding="utf-8")
    return copy


def python(*arguments: str, torch: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter with the package, and the fake torch if given, on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMPAT_SHIM", "PYTHON"))}
    path = [str(ROOT), *([str(torch)] if torch else [])]
    kept |= {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
    if torch is not None:
        kept["SMALL_FINGERPRINTS"] = str(torch / "fingerprints.json")
    return command(sys.executable, *arguments, environ=kept | environ, cwd="/")  # -c looks there first


def command(*words: str, environ: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment and no other variable."""
    return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=False, **options)


def run(code: str, torch: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``code``, which must end well; its assertions are the test's."""
    done = python("-c", code, torch=torch, **environ)
    assert done.returncode == 0, done.stderr
    return done


def warnings(stderr: str) -> list[str]:
    """The shim's lines."""
    return [line for line in stderr.splitlines() if line.startswith("compat_shim: ")]


def waiting(*names: str) -> tuple[ImportHook, list[str]]:
    """An installed hook, and the list to which it adds each name it is called for."""
    seen: list[str] = []
    hook = ImportHook(names, seen.append)
    hook.install()
    return hook, seen
