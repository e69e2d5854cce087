"""The short way of a call: compiled code calls the Python function that the dispatcher would run.

Who calls it, in the order of one call: ``exact`` and ``ways`` decide while a graph is lowered, ``variables`` writes the
line of a kernel, ``step`` is what that line calls in each step; ``python_kernel`` knows which function it is,
``short_call`` what must be around it, ``thread_state`` in which state, ``results`` what becomes of what it returns.

``import torch`` stands here, before all else of this folder, as in ``out_variant``; what may be half made then is said
there.
"""

import torch  # noqa: F401
