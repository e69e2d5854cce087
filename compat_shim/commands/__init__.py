"""The commands of ``python -m compat_shim`` and ``compat-shim``: one file each, and what they share."""
