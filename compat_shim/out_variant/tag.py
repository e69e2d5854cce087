"""The tags of torch 2.13 on this torch: which of them mark an out variant, and which have rules."""

from __future__ import annotations

from typing import Any

import torch


def out_tags() -> tuple[Any, ...]:
    """The members of ``torch.Tag`` that mark an out variant: ``out`` and ``out_variant``, where there are.

    Upstream looks only for the first from 2.13 on; here both pair ops.
    """
    return _members("out", "out_variant")


def strict_tags() -> tuple[Any, ...]:
    """The members of ``torch.Tag`` that have rules at definition time: ``out`` and ``inplace``."""
    return _members("out", "inplace")


def _members(*names: str) -> tuple[Any, ...]:
    return tuple(tag for name in names if (tag := getattr(torch.Tag, name, None)) is not None)


def normalized(tags: Any) -> tuple[Any, ...]:
    """``tags=`` of torch 2.13's functions as a tuple: None, one tag or many, each once."""
    if tags is None:
        return ()
    return tuple(dict.fromkeys((tags,) if isinstance(tags, torch.Tag) else tags))
