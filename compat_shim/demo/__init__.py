"""The demo: a quantized block compiled with the shim off and on, checked, measured and shown.

Runs on the GPU if there is one, else on the CPU.
"""
