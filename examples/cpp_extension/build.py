"""A C++ extension whose ops have out variants, with tags and without.

The tags come from the header ``compat_shim/out_tag.h``, on releases of torch that do not have them too. You need it
where you can change the extension's source; where you cannot, pair its ops in Python. This file builds ``ops.cpp``
with torch's ``cpp_extension`` (it needs ninja and a C++ compiler); a ``setup.py`` passes
``compat_shim.include_paths()`` as ``include_dirs``.
"""

from pathlib import Path

import torch
from torch.utils import cpp_extension

import compat_shim


def load():
    # Before or after the library is loaded: the pair waits for its ops.
    compat_shim.register_out_variant("ext::flat", "ext::flat_out")
    cpp_extension.load(
        "compat_shim_example",
        sources=[str(Path(__file__).with_name("ops.cpp"))],
        extra_include_paths=compat_shim.include_paths(),
        extra_cflags=["-O0"],
        is_python_module=False,
    )
    for name in ("flat", "tagged", "strict"):
        torch.library.register_fake(f"ext::{name}", lambda x, by: torch.empty_like(x))


def model(x):
    return torch.ops.ext.strict(torch.ops.ext.tagged(torch.ops.ext.flat(x, 2.0), 3.0), 5.0)


def main():
    load()
    x = torch.randn(4, 8)
    assert torch.equal(torch.compile(model, fullgraph=True)(x), model(x))
    print(compat_shim.explain(model, x))


if __name__ == "__main__":
    main()
