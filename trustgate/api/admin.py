"""The JSON API for administrators, ``/api/v1``: accounts, projects, policy, decisions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict

from trustgate import __version__
from trustgate.api.decision_json import decision_to_json
from trustgate.errors import Forbidden, NotFound, Unauthorized
from trustgate.flows.access import Actor
from trustgate.flows.accounts import DEFAULT_ROBOT_DAYS, AccountFlow, parse_grant
from trustgate.flows.identity import ROBOT_LOGIN_PREFIX, Identity
from trustgate.flows.tokens import Tokens
from trustgate.ports import Account, DecisionId, DecisionRecord, Decisions, Project

Call = Callable[[Callable[[], Any]], Awaitable[Any]]
Explain = Callable[[str, Actor], DecisionRecord]
"""(REPOSITORY[:TAG|@DIGEST], whose pull) to a decision. Raises ``ManifestUnknown`` and the parse errors."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewUser(_Body):
    name: str
    password: str
    admin: bool = False
    grants: list[str] = []
    groups: list[str] = []


class NewRobot(_Body):
    name: str
    grants: list[str]
    days: int = DEFAULT_ROBOT_DAYS
    groups: list[str] = []
    description: str = ""


class AccountChange(_Body):
    password: str | None = None
    disabled: bool | None = None
    grants: list[str] | None = None


class ProjectChange(_Body):
    public: bool


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the routes hand requests on to."""

    identity: Identity
    accounts: AccountFlow
    tokens: Tokens
    decisions: Decisions
    explain: Explain
    policy_status: Callable[[], Mapping[str, Any]]
    policy_reload: Callable[[], Mapping[str, Any]]
    call: Call
    host: str
    """How commands name this registry."""


def admin_router(parts: AdminParts) -> APIRouter:
    """``/api/v1``. Everything but ``version`` asks for an account."""
    call = parts.call

    async def actor(request: Request, authorization: Annotated[str | None, Header()] = None) -> Actor:
        source = request.client.host if request.client else ""
        found: Actor = await call(lambda: parts.identity.authenticate(authorization, source))
        if found.is_anonymous:
            raise Unauthorized("log in to use the API", hint="trustgate login HOST")
        if found.scope is not None:
            raise Unauthorized("registry tokens do not open the API: use the account's own credentials")
        return found

    async def admin(found: Annotated[Actor, Depends(actor)]) -> Actor:
        if not found.is_admin:
            raise Forbidden("only administrators may do this")
        return found

    router = APIRouter(prefix="/api/v1")
    router.include_router(_accounts_router(parts), dependencies=[Depends(admin)])
    router.include_router(_changes_router(parts), dependencies=[Depends(admin)])
    router.include_router(_policy_router(parts), dependencies=[Depends(admin)])

    @router.get("/version", operation_id="getVersion", summary="Which release this is")
    async def version() -> dict[str, str]:
        return {"version": __version__}

    @router.get("/me", operation_id="getMe", summary="Who the presented credential is")
    async def me(found: Annotated[Actor, Depends(actor)]) -> dict[str, Any]:
        return {"name": found.caller.name, "admin": found.is_admin}

    @router.get("/decisions/{decision}", operation_id="getDecision", summary="One decision, whole")
    async def decision(decision: str, found: Annotated[Actor, Depends(actor)]) -> dict[str, Any]:
        record: DecisionRecord | None = await call(lambda: parts.decisions.find(DecisionId(decision)))
        if record is None or not _may_read(found, record):
            raise NotFound(f"there is no decision {decision[:40]!a}")
        return decision_to_json(record, host=parts.host)

    @router.get("/why", operation_id="explainPull", summary="How a pull would be decided now")
    async def why(
        found: Annotated[Actor, Depends(actor)],
        ref: Annotated[str, Query(max_length=600)],
        whose: Annotated[str, Query(alias="as", max_length=80)] = "",
    ) -> dict[str, Any]:
        asked = await call(lambda: _asked_actor(parts, found, whose))
        record = await call(lambda: parts.explain(ref, asked))
        return decision_to_json(record, host=parts.host)

    return router


def _asked_actor(parts: AdminParts, found: Actor, whose: str) -> Actor:
    """The account whose pull is asked about: one's own, or anybody's for an administrator."""
    if not whose:
        return found
    name = whose.replace("robot:", ROBOT_LOGIN_PREFIX, 1).removeprefix("user:")
    if name == "anonymous" and found.is_admin:
        return parts.identity.anonymous()
    if name != found.caller.name and not found.is_admin:
        raise Forbidden("only administrators may ask for another account")
    return parts.identity.actor_of(parts.accounts.find(name))


def _may_read(actor: Actor, record: DecisionRecord) -> bool:
    return actor.is_admin or actor.may("pull", record.verdict.request.repository)


def _accounts_router(parts: AdminParts) -> APIRouter:
    router, flow, call = APIRouter(), parts.accounts, parts.call

    @router.get("/users", operation_id="listUsers", summary="Users")
    async def users() -> dict[str, Any]:
        return {"items": [_account_json(item) for item in await call(lambda: flow.all("user"))]}

    @router.post("/users", operation_id="createUser", summary="Create a user", status_code=201)
    async def create_user(body: NewUser) -> dict[str, Any]:
        grants = [parse_grant(text) for text in body.grants]
        made = await call(
            lambda: flow.create_user(
                body.name, body.password, is_admin=body.admin, grants=grants, groups=body.groups
            )
        )
        return _account_json(made)

    @router.get("/robots", operation_id="listRobots", summary="Robots")
    async def robots() -> dict[str, Any]:
        return {"items": [_account_json(item) for item in await call(lambda: flow.all("robot"))]}

    @router.post("/robots", operation_id="createRobot", summary="Create a robot", status_code=201)
    async def create_robot(body: NewRobot) -> dict[str, Any]:
        grants = [parse_grant(text) for text in body.grants]
        made, secret = await call(
            lambda: flow.create_robot(
                body.name, grants=grants, days=body.days, groups=body.groups, description=body.description
            )
        )
        return {**_account_json(made), "secret": secret}

    return router


def _changes_router(parts: AdminParts) -> APIRouter:
    router, flow, call = APIRouter(), parts.accounts, parts.call

    @router.patch("/accounts/{name}", operation_id="changeAccount", summary="Change a user or a robot")
    async def change(name: str, body: AccountChange) -> dict[str, Any]:
        def work() -> Account:
            if body.password is not None:
                flow.set_password(name, body.password)
            if body.grants is not None:
                flow.set_grants(name, [parse_grant(text) for text in body.grants])
            if body.disabled is not None:
                flow.set_disabled(name, body.disabled)
            return flow.find(name)

        return _account_json(await call(work))

    @router.delete("/accounts/{name}", operation_id="deleteAccount", status_code=204, summary="Delete")
    async def delete(name: str) -> None:
        await call(lambda: flow.delete(name))

    @router.get("/projects", operation_id="listProjects", summary="Projects")
    async def projects() -> dict[str, Any]:
        return {"items": [_project_json(item) for item in await call(flow.projects)]}

    @router.put("/projects/{name}", operation_id="putProject", summary="Create or change a project")
    async def put_project(name: str, body: ProjectChange) -> dict[str, Any]:
        return _project_json(await call(lambda: flow.put_project(name, public=body.public)))

    @router.post("/token-keys", operation_id="rotateTokenKey", summary="Sign tokens with a new key")
    async def rotate() -> dict[str, str]:
        return {"id": await call(parts.tokens.rotate)}

    return router


def _policy_router(parts: AdminParts) -> APIRouter:
    router = APIRouter()

    @router.get("/policy", operation_id="getPolicyStatus", summary="Which policy is in force")
    async def status() -> Mapping[str, Any]:
        return parts.policy_status()

    @router.post("/policy/reload", operation_id="reloadPolicy", summary="Read the policy source now")
    async def reload() -> Mapping[str, Any]:
        status: Mapping[str, Any] = await parts.call(parts.policy_reload)
        return status

    return router


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "kind": account.kind,
        "admin": account.is_admin,
        "grants": [f"{grant.pattern}={','.join(sorted(grant.permissions))}" for grant in account.grants],
        "groups": sorted(account.groups),
        "created_at": account.created_at.isoformat(),
        "expires_at": account.expires_at.isoformat() if account.expires_at else None,
        "disabled": account.disabled,
        "description": account.description,
    }


def _project_json(project: Project) -> dict[str, Any]:
    return {"name": project.name, "public": project.public, "created_at": project.created_at.isoformat()}
