import torch._library  # noqa: F401
from torch.version import __version__ as __version__


class Tag:
    pass
