"""Inductor's lowering of a functional op to its out variant, one path for one and for several outputs.

How a call flows: ``FallbackKernel.create`` (wrapped in ``create.py``) asks ``decide.py`` whether
the call may be lowered; if so a node of ``nodes.py`` is made, which emits its line through
``emission/``. ``cache_key.py`` makes a compiled graph depend on the pairs. What differs between
releases of torch is in ``releases.py`` alone.
"""

import importlib
import sys

# Importing Inductor applies the patches, and those import the modules here. So whoever imports one
# of these first gets Inductor first. While Inductor is being imported it must be left alone: this
# runs in the middle of its import then, and its modules import each other in circles.
if "torch._inductor.ir" not in sys.modules:
    importlib.import_module("torch._inductor.compile_fx")
