"""The shim's log lines: logger ``compat_shim``, levels chosen by ``COMPAT_SHIM_LOG`` or ``TORCH_LOGS``.

``TORCH_LOGS="compat_shim"`` and ``"+compat_shim"`` (torch takes the name of any logger) give the
line of the process and each decision too.
"""

import logging

from compat_shim.env import Settings

logger = logging.getLogger("compat_shim")
_said: set[str] = set()


def warn(settings: Settings, message: str) -> None:
    """Log ``message`` as a WARNING, once in this process, unless the log is ``quiet``."""
    if settings.log == "quiet" or message in _said:
        return
    _said.add(message)
    logger.warning("compat_shim: %s", message)


def info(settings: Settings, message: str, *args: object) -> None:
    """Log ``message`` at INFO where it is asked for."""
    _log(settings, logging.INFO, message, args)


def debug(settings: Settings, message: str, *args: object) -> None:
    """Log ``message`` at DEBUG where it is asked for."""
    _log(settings, logging.DEBUG, message, args)


def _log(settings: Settings, level: int, message: str, args: tuple[object, ...]) -> None:
    if settings.log == "debug" and logger.getEffectiveLevel() > logging.DEBUG:
        logger.setLevel(logging.DEBUG)  # the user asked for these lines by name
    if settings.log == "quiet" or not logger.isEnabledFor(level):
        return
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(logging.StreamHandler())
    logger.log(level, "compat_shim: " + message, *args, stacklevel=3)  # the line is the caller's
