"""Torch's lines about a machine without a GPU, which say nothing of the demo, do not appear in its output."""

from __future__ import annotations

import contextlib
import io
import logging

import torch


def import_what_logs() -> None:
    """Where there is no GPU, import in silence what warns that CUDA or Triton is missing when it is imported.

    Nothing of torch's configuration, and no logger, is another one afterwards.
    """
    if torch.cuda.is_available():
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # up to torch 2.7 the line is printed
            from torch.utils import flop_counter  # noqa: F401

            # Needs setuptools; where that is missing, the compile says so.
            with contextlib.suppress(ImportError):
                from torch.utils import cpp_extension  # noqa: F401
    finally:
        logging.disable(disabled)
