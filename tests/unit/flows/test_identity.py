"""Who is calling: passwords, robots, tokens, throttling. Wrong logins all look the same."""

from __future__ import annotations

import base64
import contextlib
import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from tests.clocks import SetClock
from tests.data_folders import begun
from trustgate.errors import Forbidden, InvalidInput, TooManyAttempts, Unauthorized
from trustgate.flows.access import Actor, grant_matches
from trustgate.flows.accounts import AccountFlow, parse_grant
from trustgate.flows.first_start import LINK_LIFETIME_S, FirstStart
from trustgate.flows.identity import FREE_ATTEMPTS_OF_SOURCE, MAX_LOGIN_CHARACTERS, Identity
from trustgate.flows.passwords import Passwords, looks_like_robot_secret, new_robot_secret
from trustgate.flows.throttle import FREE_ATTEMPTS
from trustgate.flows.tokens import LIFETIME_S, Access, Tokens, grant, read_scopes
from trustgate.policy.model import Caller
from trustgate.ports import Grant
from trustgate.store.opening import Store, open_store

SERVICE = "registry.test"
PASSWORD = "correct horse battery"
SHOP = [Grant("shop", frozenset({"pull"}))]


class House:
    """Identity on a real store, with a clock that can be set."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.store: Store = open_store(begun(folder), self.clock)
        self.tokens = Tokens(self.store.signing_keys, self.clock)
        self.tokens.load()
        self.accounts = AccountFlow(self.store.accounts, self.store.projects, self.clock)
        self.identity = Identity(
            accounts=self.store.accounts,
            projects=self.store.projects,
            tokens=self.tokens,
            freshness=self.store.freshness,
            clock=self.clock,
            service=SERVICE,
        )

    def login(self, name: str, secret: str, source: str = "192.0.2.1") -> Actor:
        return self.identity.authenticate(basic(name, secret), source)


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data")
    yield made
    made.store.close()


@pytest.fixture
def robot(house: House) -> str:
    return house.accounts.create_robot("prod", grants=SHOP)[1]


def test_a_user_logs_in(house: House) -> None:
    house.accounts.create_user("alice", PASSWORD, grants=SHOP)
    actor = house.login("alice", PASSWORD)
    assert actor.may("pull", "shop/web")
    assert not actor.may("push", "shop/web")
    assert not actor.may("pull", "other/web")


def test_wrong_logins_look_the_same(house: House, robot: str) -> None:
    house.accounts.create_user("alice", PASSWORD)
    house.accounts.create_user("bob", PASSWORD)
    house.accounts.set_disabled("bob", True)
    wrong = [
        ("alice", "wrong password here"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("robot$prod", "tg_wrong"),
        ("robot$prod", new_robot_secret()),
        ("robot$none", robot),
    ]
    said = set()
    for number, (name, secret) in enumerate(wrong):
        with pytest.raises(Unauthorized) as caught:
            house.login(name, secret, source=str(number))
        said.add((caught.value.message, caught.value.hint))
    assert len(said) == 1


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic " + "A" * 30_000, "Digest x", "Bearer", "Basic Og=="]
)
def test_headers_that_make_no_sense(house: House, header: str) -> None:
    with pytest.raises(Unauthorized):
        house.identity.authenticate(header, "")


def test_a_robot_expires(house: House, robot: str) -> None:
    assert house.login("robot$prod", robot).caller.is_robot
    house.clock.advance(91 * 86400)
    with pytest.raises(Unauthorized):
        house.login("robot$prod", robot)


def test_a_robot_has_an_expiry_and_grants(house: House) -> None:
    for days in (0, 401, -1):
        with pytest.raises(InvalidInput):
            house.accounts.create_robot("x", grants=SHOP, days=days)
    with pytest.raises(InvalidInput):
        house.accounts.create_robot("x", grants=[])


def test_a_changed_account_is_forgotten_at_once(house: House, robot: str) -> None:
    house.login("robot$prod", robot)
    assert house.identity.remembered(basic("robot$prod", robot)) is not None
    house.accounts.set_disabled("robot$prod", True)
    assert house.identity.remembered(basic("robot$prod", robot)) is None
    with pytest.raises(Unauthorized):
        house.login("robot$prod", robot)


def test_failed_logins_are_slowed_also_for_the_right_password(house: House, robot: str) -> None:
    for _ in range(FREE_ATTEMPTS):
        with pytest.raises(Unauthorized):
            house.login("robot$prod", "tg_wrong")
    with pytest.raises(TooManyAttempts) as caught:
        house.login("robot$prod", robot)
    assert caught.value.retry_after_s >= 1
    house.login("robot$prod", robot, source="another place")
    house.clock.advance(caught.value.retry_after_s)
    house.login("robot$prod", robot)


def test_made_up_names_from_one_place_are_slowed_together(
    house: House, robot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would cost a slow hash. Robots' secrets cost nothing to check, and go on."""
    monkeypatch.setattr(Passwords, "matches", lambda _self, stored, _secret: stored is not None)
    house.accounts.create_user("alice", PASSWORD)
    for number in range(FREE_ATTEMPTS_OF_SOURCE):
        with pytest.raises(Unauthorized):
            house.login(f"nobody{number}", "wrong password here")
    with pytest.raises(TooManyAttempts) as caught:
        house.login("alice", PASSWORD)
    assert caught.value.retry_after_s <= 2
    house.login("robot$prod", robot)
    house.login("alice", PASSWORD, source="another place")
    house.clock.advance(1)
    house.login("alice", PASSWORD)


def test_a_name_that_is_too_long_is_one_that_nobody_has(house: House) -> None:
    with pytest.raises(Unauthorized):
        house.login("x" * 10_000, PASSWORD)
    assert [len(name) for name, _source in house.identity._throttle._failures] == [MAX_LOGIN_CHARACTERS]


def test_anonymous_gets_public_projects(house: House) -> None:
    house.accounts.put_project("open", public=True)
    house.accounts.put_project("shop", public=False)
    actor = house.identity.authenticate(None, "")
    assert actor.may("pull", "open/web")
    assert not actor.may("push", "open/web")
    assert not actor.may("pull", "shop/web")


@given(st.text(alphabet=string.printable, max_size=60))
def test_only_our_own_secrets_look_like_ours(text: str) -> None:
    assert not looks_like_robot_secret(text)


def test_a_secret_is_recognised_until_one_character_changes() -> None:
    secret = new_robot_secret()
    assert looks_like_robot_secret(secret)
    other = "a" if secret[10] != "a" else "b"
    assert not looks_like_robot_secret(secret[:10] + other + secret[11:])


# --- tokens ---------------------------------------------------------------------------------------


def token_for(house: House, actor: Actor, scope: str) -> str:
    access = grant(read_scopes([scope]), actor)
    return house.tokens.issue(actor.caller.name, access, service=SERVICE)[0]


def test_a_token_holds_asked_and_allowed_and_nothing_else(house: House, robot: str) -> None:
    actor = house.login("robot$prod", robot)
    asked = read_scopes(
        ["repository:shop/web:pull,push,delete,admin repository:other/x:pull", "registry:catalog:*"]
    )
    assert grant(asked, actor) == (
        Access("repository", "shop/web", ("pull",)),
        Access("repository", "other/x", ()),
        Access("registry", "catalog", ()),
    )
    bearer = house.identity.authenticate(f"Bearer {token_for(house, actor, 'repository:shop/web:pull')}", "")
    assert bearer.may("pull", "shop/web")
    assert not bearer.may("pull", "shop/other"), "the account may, the token does not say so"


def test_a_token_never_exceeds_its_account(house: House, robot: str) -> None:
    """A token whose account was narrowed after it was issued."""
    actor = house.login("robot$prod", robot)
    header = f"Bearer {token_for(house, actor, 'repository:shop/web:pull')}"
    assert house.identity.authenticate(header, "").may("pull", "shop/web")
    house.accounts.set_grants("robot$prod", [Grant("other", frozenset({"pull"}))])
    assert not house.identity.authenticate(header, "").may("pull", "shop/web")
    house.accounts.delete("robot$prod")
    with pytest.raises(Unauthorized):
        house.identity.authenticate(header, "")


def test_tokens_expire_and_do_not_come_from_the_future(house: House, robot: str) -> None:
    token = token_for(house, house.login("robot$prod", robot), "repository:shop/web:pull")
    house.clock.set_back(3600)
    with pytest.raises(Unauthorized, match="future"):
        house.tokens.verify(token, service=SERVICE)
    house.clock.set_back(-3600)
    house.tokens.verify(token, service=SERVICE)
    house.clock.advance(LIFETIME_S)
    with pytest.raises(Unauthorized, match="expired"):
        house.tokens.verify(token, service=SERVICE)


def test_foreign_and_forged_tokens(house: House, robot: str, tmp_path: Path) -> None:
    actor = house.login("robot$prod", robot)
    token = token_for(house, actor, "repository:shop/web:pull")
    with pytest.raises(Unauthorized):
        house.tokens.verify(token, service="another.registry")
    other = House(tmp_path / "other")
    with pytest.raises(Unauthorized):
        other.tokens.verify(token, service=SERVICE)
    other.store.close()
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    public = house.tokens._public[kid].public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    stranger = ec.generate_private_key(ec.SECP256R1())
    told = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    forged = [
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, "secret" * 10, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": kid}),
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid}),
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": kid, "jwk": told}),
        token[:-4] + "AAAA",
        "a.b.c",
        "x" * 20_000,
    ]
    for wrong in forged:
        with pytest.raises(Unauthorized):
            house.tokens.verify(wrong, service=SERVICE)


def test_a_long_token_is_not_looked_at(house: House) -> None:
    access = [Access("repository", f"shop/{number}", ("pull",)) for number in range(300)]
    for some, refused in ((access[:100], False), (access, True)):
        token, _expires = house.tokens.issue("robot$prod", tuple(some), service=SERVICE)
        with pytest.raises(Unauthorized, match="too long") if refused else contextlib.nullcontext():
            house.tokens.verify(token, service=SERVICE)


def test_keys_rotate_and_old_tokens_live_out_their_time(house: House, robot: str) -> None:
    token = token_for(house, house.login("robot$prod", robot), "repository:shop/web:pull")
    house.tokens.rotate()
    house.tokens.verify(token, service=SERVICE)
    house.clock.advance(LIFETIME_S + 60)
    house.tokens.rotate()
    with pytest.raises(Unauthorized, match="not signed by this registry"):
        house.tokens.verify(token, service=SERVICE)


@given(st.lists(st.text(max_size=80), max_size=5))
def test_any_scope_is_read_or_refused(texts: list[str]) -> None:
    with contextlib.suppress(InvalidInput):
        read_scopes(texts)


# --- grants, first start --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "repository", "matches"),
    [
        ("shop", "shop/web", True),
        ("shop", "shop/web/deep", True),
        ("shop", "shopping/web", False),
        ("shop/web", "shop/web", True),
        ("shop/web", "shop/web/deep", False),
        ("shop/*", "shop/web", True),
        ("shop/*", "shop/web/deep", False),
        ("shop/**", "shop/web/deep", True),
        ("*", "shop/web", False),
        ("**", "shop/web", True),
        ("shop.x/web", "shopyx/web", False),
    ],
)
def test_grants(pattern: str, repository: str, matches: bool) -> None:
    assert grant_matches(pattern, repository) is matches


@pytest.mark.parametrize(
    "text", ["shop", "shop=", "shop=fly", "=pull", "SHOP=pull", "shop=pull,", "../x=pull"]
)
def test_grants_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_grant(text)


def test_the_setup_link_works_once_and_for_half_an_hour(house: House, tmp_path: Path) -> None:
    first = FirstStart(house.store.accounts, house.accounts, house.clock, tmp_path)
    code = first.prepare()
    assert code is not None
    assert first.password_file.stat().st_mode & 0o777 == 0o600
    house.login("admin", first.password_file.read_text().strip())
    with pytest.raises(Forbidden):
        first.redeem("WRONG-WRONG-WRONG-WRONG", PASSWORD, "")
    with pytest.raises(InvalidInput):
        first.redeem(code, "short", "")
    first.redeem(code, PASSWORD, "")
    assert house.login("admin", PASSWORD).is_admin
    assert not first.password_file.exists()
    with pytest.raises(Forbidden):
        first.redeem(code, PASSWORD, "")
    assert FirstStart(house.store.accounts, house.accounts, house.clock, tmp_path).prepare() is None


def test_the_setup_link_ends(house: House, tmp_path: Path) -> None:
    first = FirstStart(house.store.accounts, house.accounts, house.clock, tmp_path)
    code = first.prepare()
    assert code is not None
    house.clock.advance(LINK_LIFETIME_S + 1)
    with pytest.raises(Forbidden):
        first.redeem(code, PASSWORD, "")


def test_accounts_expire_by_the_wall_clock(house: House, robot: str) -> None:
    account = house.accounts.find("robot$prod")
    house.store.accounts.replace(replace(account, expires_at=house.clock.now() + timedelta(seconds=5)))
    house.login("robot$prod", robot)
    house.clock.advance(6)
    assert house.identity.remembered(basic("robot$prod", robot)) is None


def test_admin_of_a_project_may_everything_there_and_nothing_elsewhere() -> None:
    actor = Actor(Caller("lead"), grants=(Grant("shop", frozenset({"admin"})),))
    for permission in ("pull", "push", "delete", "admin"):
        assert actor.may(permission, "shop/web")
        assert not actor.may(permission, "other/web")
