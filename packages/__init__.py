"""Packages that the world ships: which of their ops pair, and what real programs gain, by runs that can be repeated.

``python -m packages`` makes ``results/*.json`` anew, one virtual environment a package, which is removed afterwards;
``docs/packages.md`` is written from these files. ``catalogue`` says which packages, ``programs/`` has programs that
know nothing of the shim, ``inspect_ops`` and ``measure`` run in the package's environment, ``wheel`` reads what does
not load.
"""
