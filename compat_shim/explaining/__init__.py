"""``explain``: what became of each call of a custom op, and why.

``report.py`` is what it returns, ``observe.py`` collects it while Inductor compiles, ``ops.py``
answers for one op without a compile.
"""
