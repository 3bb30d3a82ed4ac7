import logging

import pytest

from sightline.foundation.errors import InputError, RunError, SightlineError, inform, warn


def test_message_is_one_paragraph_of_what_where_and_fix():
    error = InputError("The image is cut short.", where="a.png, row 3", fix="Copy it again")
    assert str(error) == "The image is cut short. Where: a.png, row 3. Copy it again."
    assert (error.what, error.where, error.fix) == (
        "The image is cut short.",
        "a.png, row 3",
        "Copy it again",
    )


def test_where_and_fix_can_be_left_out_but_not_lost_when_zero():
    assert str(InputError("Nothing there")) == "Nothing there."
    assert str(InputError("Bad view", where=0)) == "Bad view. Where: 0."


@pytest.mark.parametrize(("kind", "code"), [(InputError, 2), (RunError, 1), (SightlineError, 1)])
def test_exit_codes(kind, code):
    assert kind("x").exit_code == code
    assert issubclass(kind, SightlineError)


def test_warnings_and_information_go_to_the_named_logger(caplog):
    with caplog.at_level(logging.INFO, logger="sightline"):
        warn("mind this")
        inform("doing that")
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [
        ("sightline", "WARNING", "mind this"),
        ("sightline", "INFO", "doing that"),
    ]
