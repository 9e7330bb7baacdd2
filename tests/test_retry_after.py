"""When a server may be asked again: one reading of the header, for pictures and for answers."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.retry_after import retry_after


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (" 3 ", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("9" * 400, 1e9),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", 1e9),
        ("soon", None),
        ("1_0", None),
        ("", None),
    ],
)
def test_what_a_server_asks_for(told: str, seconds: float | None) -> None:
    assert retry_after(told) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
def test_a_time_to_come_is_told_from_now(zone: str) -> None:
    told = formatdate(time.time() + 100, usegmt=True).replace("GMT", zone)
    seconds = retry_after(told)
    assert seconds is not None and 90 < seconds <= 100


@given(st.text(max_size=40) | st.from_regex(r"(Mon, )?\d{1,2} \w{3} \d{1,12} [\d:]{1,8}( [+-]\d{1,6})?"))
def test_no_header_breaks_it(told: str) -> None:
    seconds = retry_after(told)
    assert seconds is None or 0.0 <= seconds <= 1e9
