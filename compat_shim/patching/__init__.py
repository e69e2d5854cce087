"""The patch engine: patches as data, features as atomic units, exact undo."""
