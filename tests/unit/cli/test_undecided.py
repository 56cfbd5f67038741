"""What could not be looked at is no no."""

from __future__ import annotations

import pytest

from trustgate.cli.verify_image import exit_code


@pytest.mark.parametrize(
    ("good", "unread", "code"), [(True, "", 0), (True, "more", 0), (False, "", 1), (False, "more", 3)]
)
def test_none_good_and_some_not_looked_at(
    good: bool, unread: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(good, unread) == code
    assert capsys.readouterr().err == ("could not decide: more\n" if code == 3 else "")
