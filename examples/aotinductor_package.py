"""Packages made by AOTInductor, for a process that does not have the shim.

A package that is made while the shim is active calls the out variants of its ops, so where it is loaded these must be
defined too (the shim itself is not needed). If they are not, torch finds no schema for them and raises. To make a
package that calls the functional ops alone, as stock torch makes it, deactivate the shim meanwhile.
"""

import os
import subprocess
import sys
import tempfile

import torch
import torch._inductor.codecache  # torch 2.10 loads a package only if this is imported

import compat_shim

lib = torch.library.Library("ns", "FRAGMENT")


def define_functional():
    lib.define("scale(Tensor x, float by) -> Tensor")
    lib.impl("scale", lambda x, by: x * by, "CPU")
    torch.library.register_fake("ns::scale", lambda x, by: torch.empty_like(x), lib=lib)


def define_out():
    lib.define("scale_out(Tensor x, float by, *, Tensor(a!) out) -> Tensor(a!)")
    lib.impl("scale_out", lambda x, by, *, out: torch.mul(x, by, out=out), "CPU")
    compat_shim.register_out_variant("ns::scale", "ns::scale_out")


class Model(torch.nn.Module):
    def forward(self, x):
        return torch.ops.ns.scale(x, 3.0)


def load(path):
    """Load and run a package in a process that has no shim and no out variant."""
    define_functional()
    x = torch.randn(2, 3)
    try:
        found = torch._inductor.aoti_load_package(path)(x)
    except RuntimeError as error:
        print("    it cannot be run:", next(line for line in str(error).splitlines() if "ns::" in line))
    else:
        assert torch.equal(found, Model()(x))
        print("    it runs, and gives what eager gives")


def make(folder):
    define_functional()
    define_out()
    x = torch.randn(2, 3)
    exported = torch.export.export(Model(), (x,))

    lowered = torch._inductor.aoti_compile_and_package(exported, package_path=f"{folder}/lowered.pt2")
    assert torch.equal(torch._inductor.aoti_load_package(lowered)(x), Model()(x))

    compat_shim.deactivate()
    functional = torch._inductor.aoti_compile_and_package(exported, package_path=f"{folder}/functional.pt2")
    compat_shim.activate()
    assert torch.equal(torch._inductor.aoti_load_package(functional)(x), Model()(x))
    return {"made with the shim": lowered, "made without": functional}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for title, path in make(folder).items():
            print(f"a package {title}, where there is no out variant:", flush=True)
            subprocess.run([sys.executable, __file__, path], env={**os.environ, "COMPAT_SHIM": "off"}, check=True)


if __name__ == "__main__":
    load(sys.argv[1]) if len(sys.argv) > 1 else main()
