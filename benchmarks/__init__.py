"""What the lowering costs and gains. ``python -m benchmarks --help``; results in ``benchmarks/results``."""
