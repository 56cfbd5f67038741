"""Scopes and exemptions from documents: patterns are read, and what can match nothing is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trustgate.policy import schema
from trustgate.policy.globs import Glob, GlobInvalid, caller_glob, repository_glob, rule_glob, tag_glob
from trustgate.policy.problems import Code, Problems
from trustgate.policy.reading import Document
from trustgate.policy.rules import ANONYMOUS, ActionWord, Exemption, Scope, TagScope


@dataclass(frozen=True, slots=True)
class Site:
    """Where a builder stands: the document, the way down to here, and where to complain."""

    document: Document
    problems: Problems
    loc: tuple[str | int, ...] = ()

    def at(self, *steps: str | int) -> Site:
        return Site(self.document, self.problems, (*self.loc, *steps))

    @property
    def line(self) -> int:
        return self.document.place(*self.loc).line

    @property
    def where(self) -> str:
        return f"{self.document.path}:{self.line}"

    def complain(self, code: Code, message: str) -> None:
        self.problems.add(self.document.path, self.document.place(*self.loc), code, message)


def build_globs(texts: Sequence[str] | None, read: Callable[[str], Glob], site: Site) -> tuple[Glob, ...]:
    """Patterns; those that can't be read are noted and left out."""
    found: list[Glob] = []
    for at, text in enumerate(texts or ()):
        try:
            found.append(read(text))
        except GlobInvalid as exc:
            site.at(at).complain(Code.PATTERN, str(exc))
    return tuple(found)


def build_actions(words: Sequence[ActionWord], site: Site) -> frozenset[ActionWord]:
    if len(set(words)) != len(words):
        site.complain(Code.NOT_UNIQUE, "an action is listed twice")
    return frozenset(words)


def build_scope(scope: schema.Scope, site: Site) -> Scope:
    """The scope of one policy."""
    excluded = scope.exclude.repositories if scope.exclude else None
    built = Scope(
        actions=build_actions(scope.actions, site.at("actions")),
        repositories=build_globs(scope.repositories, repository_glob, site.at("repositories")),
        exclude=build_globs(excluded, repository_glob, site.at("exclude", "repositories")),
        tags=_tags(scope.tags, site.at("tags")),
    )
    if built.repositories and _all_covered(built.repositories, built.exclude):
        site.at("exclude").complain(
            Code.DECIDES_NOTHING, "the scope matches nothing: every repository is excluded"
        )
    return built


def _tags(tags: schema.Tags | None, site: Site) -> TagScope:
    if tags is None:
        return TagScope()
    include = build_globs(tags.include, tag_glob, site.at("include")) if tags.include else None
    exclude = build_globs(tags.exclude, tag_glob, site.at("exclude"))
    untagged = tags.untagged == "include"
    everything = include if include is not None else (tag_glob("*"),)
    if everything and _all_covered(everything, exclude):
        rest = "only requests by digest are left" if untagged else "the scope matches nothing"
        message = f"every tag is excluded: {rest}"
        site.at("exclude").complain(Code.DECIDES_NOTHING, message)
    return TagScope(include, exclude, untagged)


def _all_covered(included: Sequence[Glob], excluded: Sequence[Glob]) -> bool:
    return all(any(outer.covers(inner) for outer in excluded) for inner in included)


def build_exemption(entry: schema.Exempt, site: Site) -> Exemption:
    """One line of the root's ``exempt``."""
    named = {word: getattr(entry, word) for word in ("robots", "users", "groups")}
    if not any(named.values()):
        site.complain(Code.MISSING_KEY, "names nobody: expected robots, users or groups")
    for word, texts in named.items():
        if texts and ANONYMOUS in texts:
            site.at(word).complain(
                Code.WRONG_VALUE, f'"{ANONYMOUS}" is nobody in particular: it is never exempt'
            )
    repositories = entry.repositories
    return Exemption(
        robots=build_globs(entry.robots, caller_glob, site.at("robots")),
        users=build_globs(entry.users, caller_glob, site.at("users")),
        groups=build_globs(entry.groups, caller_glob, site.at("groups")),
        actions=build_actions(entry.actions, site.at("actions")),
        rules=build_globs(entry.rules, rule_glob, site.at("rules")),
        repositories=(
            build_globs(repositories, repository_glob, site.at("repositories")) if repositories else None
        ),
        why=entry.why,
        file=site.document.path,
        line=site.line,
    )
