"""Accounts that do not exist cost an attacker as much time as those that do."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from trustgate.flows.passwords import Passwords, _hash_of_nobody


def test_nobodys_hash_is_compared_with_at_the_cost_of_a_real_one() -> None:
    hasher = PasswordHasher()
    made = _hash_of_nobody(hasher)
    assert extract_parameters(made) == extract_parameters(hasher.hash("a real password"))
    with pytest.raises(VerifyMismatchError):
        hasher.verify(made, "a real password")
    assert made != _hash_of_nobody(hasher)


def test_nobody_has_no_password() -> None:
    passwords = Passwords()
    assert not passwords.matches(None, "a real password")
    assert passwords.matches(passwords.hash("a real password"), "a real password")
