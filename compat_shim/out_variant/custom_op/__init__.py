"""``torch.library`` with the tags of torch 2.13: rules at definition time, inference, ``custom_op``.

Mirrors #180851, native since torch 2.13.
"""
