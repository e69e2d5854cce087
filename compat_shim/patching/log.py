"""The shim's log lines: logger ``compat_shim``, levels chosen by ``COMPAT_SHIM_LOG``."""

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


def debug(settings: Settings, message: str, *args: object) -> None:
    """Log ``message`` at DEBUG where ``COMPAT_SHIM_LOG=debug`` asks for it."""
    if settings.log == "debug":
        if not logger.isEnabledFor(logging.DEBUG):
            # The user asked for these lines by name, so the logger's level follows.
            logger.setLevel(logging.DEBUG)
            if not logger.handlers and not logging.getLogger().handlers:
                logger.addHandler(logging.StreamHandler())
        logger.debug("compat_shim: " + message, *args)
