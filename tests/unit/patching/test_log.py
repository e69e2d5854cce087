from __future__ import annotations

import logging

import pytest

from compat_shim.patching import log

from ..helpers import settings


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
