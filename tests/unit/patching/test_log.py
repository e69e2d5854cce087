from __future__ import annotations

import logging

import pytest

from compat_shim.patching import log
from support.workbench import settings


def test_a_warning_is_said_once_in_a_process(caplog: pytest.LogCaptureFixture) -> None:
    for message in ("one", "two", "one"):
        log.warn(settings(), message)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "compat_shim: one"),
        ("WARNING", "compat_shim: two"),
    ]


def test_a_quiet_log_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log.warn(settings(log="quiet"), "one")
    log.debug(settings(log="quiet"), "two")
    assert caplog.records == []


def test_details_are_said_only_where_they_are_asked_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.logger, "level", logging.NOTSET)
    log.debug(settings(log="warn"), "%s", "one")
    assert caplog.records == []
    log.debug(settings(log="debug"), "%s", "two")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("DEBUG", "compat_shim: two")


def test_the_loggers_own_level_asks_for_the_details_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.logger, "level", logging.NOTSET)
    with caplog.at_level(logging.INFO, "compat_shim"):  # as TORCH_LOGS="compat_shim" does
        log.info(settings(), "%s", "one")
        log.debug(settings(), "two")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", "compat_shim: one")]
