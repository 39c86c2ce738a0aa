"""Who asks, and whether they may: bearer tokens, impersonation, the world's access rules and its RBAC objects.

Rules: an empty `Access.rules` allows everything; otherwise `system:masters` may do everything and everybody
else what the rules or the world's Role and ClusterRole bindings say; discovery is open to whoever is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evals.servers.kube.calls import Target, User
from evals.servers.kube.jsonread import as_list, as_object, as_text, objects_at
from evals.servers.kube.kinds import Kinds, Resource
from evals.servers.kube.status import ApiError, bad_request, details_of, unauthorized
from evals.servers.kube.store import Item, Store
from evals.world.model import World
from tools.types import JsonObject

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
ADMIN = User("world-admin", (MASTERS, AUTHENTICATED))
"""Who a request is made as in a world without tokens."""
_RBAC = "rbac.authorization.k8s.io"
_EVERYTHING: JsonObject = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_URL: JsonObject = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_BASIC_RULES: tuple[JsonObject, ...] = (
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
)
"""What the bootstrap role system:basic-user grants to everybody authenticated."""
_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_PUBLIC_URLS: JsonObject = {"verbs": ["get"], "nonResourceURLs": list(_HEALTH)}
_DISCOVERY_URLS: tuple[JsonObject, ...] = (
    {
        "verbs": ["get"],
        "nonResourceURLs": [
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez",
            "/openapi", "/openapi/*", "/readyz", "/version", "/version/",
        ],
    },
    {"verbs": ["get"], "nonResourceURLs": ["/.well-known", "/.well-known/*"]},
    _PUBLIC_URLS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule somebody holds: where (None is everywhere) and because of which binding."""

    rule: JsonObject
    namespaces: tuple[str, ...] | None
    because: str


class Authority:
    """Decides for one world. Bindings are read again after every write."""

    def __init__(self, world: World, kinds: Kinds, store: Store) -> None:
        self._world, self._kinds, self._store = world, kinds, store
        self._cached: dict[User, tuple[Grant, ...]] = {}
        self._revision = -1

    # --- who -------------------------------------------------------------------------------------------

    def user_of(self, headers: Mapping[str, str], groups: Sequence[str]) -> User:
        """Whoever a request is made as; `groups` are its Impersonate-Group headers. Raises ApiError 401, 403."""
        user = self._authenticated(headers.get("Authorization", ""))
        name = headers.get("Impersonate-User", "")
        if not name:
            if groups:
                raise bad_request("requested groups without impersonating a user")
            return user
        self._require_impersonation(user, "users", name)
        for group in groups:
            self._require_impersonation(user, "groups", group)
        extra = () if AUTHENTICATED in groups else (AUTHENTICATED,)
        return User(name, (*groups, *extra))

    def _authenticated(self, header: str) -> User:
        tokens = self._world.access.tokens
        if not tokens:
            return ADMIN
        scheme, _, token = header.partition(" ")
        known: tuple[str, tuple[str, ...]] | None
        if not header:
            # kubectl sends no credentials over plain HTTP; without any, a request is made as the kubeconfig's user.
            known = next(iter(tokens.values()))
        else:
            known = tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            raise unauthorized()
        name, groups = known
        return User(name, groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED))

    def _require_impersonation(self, user: User, resource: str, name: str) -> None:
        target = Target(verb="impersonate", path="", version="v1", resource=resource, name=name)
        if not self.decide(user, target)[0]:
            raise self.forbidden(user, target)

    # --- may they --------------------------------------------------------------------------------------

    def decide(self, user: User, target: Target) -> tuple[bool, str]:
        """(allowed, reason as access reviews give it)."""
        if self._open(user):
            return True, ""
        for grant in self.grants(user):
            if _covers(grant, target):
                return True, grant.because
        return False, ""

    def require(self, user: User, target: Target) -> None:
        """Raises ApiError 403 with the real server's message."""
        if not self.decide(user, target)[0]:
            raise self.forbidden(user, target)

    def forbidden(self, user: User, target: Target) -> ApiError:
        """The refusal of a request."""
        if not target.resource:
            message = f'forbidden: User "{user.name}" cannot {target.verb} path "{target.path}"'
            return ApiError(403, message, details={})
        known = self._kinds.by_path.get((target.group, target.version, target.resource))
        resource = known or Resource(target.group, target.version, "", target.resource, "", namespaced=True)
        what = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
        where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        named = f'{resource.qualified} "{target.name}"' if target.name else resource.qualified
        message = (
            f'{named} is forbidden: User "{user.name}" cannot {target.verb} resource "{what}" '
            f'in API group "{target.group}" {where}'
        )
        return ApiError(403, message, details=details_of(resource, target.name))

    def rules(self, user: User, namespace: str) -> tuple[list[JsonObject], list[JsonObject]]:
        """(resource rules, non-resource rules) that hold in a namespace, as SelfSubjectRulesReview lists them."""
        if self._open(user):
            return [_EVERYTHING], [_EVERY_URL]
        here = [g for g in self.grants(user) if g.namespaces is None or namespace in g.namespaces]
        resources = [_shown(g.rule) for g in here if "nonResourceURLs" not in g.rule]
        return resources, [g.rule for g in here if "nonResourceURLs" in g.rule]

    def _open(self, user: User) -> bool:
        return not self._world.access.rules or MASTERS in user.groups

    def grants(self, user: User) -> tuple[Grant, ...]:
        """All rules a user holds, with the binding each comes from."""
        if self._revision != self._store.revision:
            self._cached.clear()
            self._revision = self._store.revision
        if user not in self._cached:
            self._cached[user] = (*_bootstrap(user), *self._declared(user), *self._bound(user))
        return self._cached[user]

    def _declared(self, user: User) -> Iterator[Grant]:
        for subject in (user.name, *user.groups):
            word = "User" if subject == user.name else "Group"
            for rule in self._world.access.rules.get(subject, ()):
                namespaces = rule.get("namespaces")
                where = None if namespaces is None else tuple(as_text(one) for one in as_list(namespaces))
                filled: JsonObject = {"apiGroups": ["*"], **rule}
                yield Grant(filled, where, f'allowed by the access rules of {word} "{subject}"')

    def _bound(self, user: User) -> Iterator[Grant]:
        for kind in ("clusterrolebindings", "rolebindings"):
            resource = self._kinds.by_path[(_RBAC, "v1", kind)]
            for binding in self._store.select(resource):
                for subject in objects_at(binding.body, "subjects"):
                    if _is(subject, user):
                        yield from self._granted(binding, subject)

    def _granted(self, binding: Item, subject: JsonObject) -> Iterator[Grant]:
        ref = as_object(binding.body.get("roleRef"))
        kind, name = as_text(ref.get("kind")), as_text(ref.get("name"))
        namespace = binding.namespace if kind == "Role" else ""
        role = self._store.get(self._kinds.by_path[(_RBAC, "v1", kind.lower() + "s")], namespace, name)
        where = (binding.namespace,) if binding.namespace else None
        bound = f"{binding.name}/{binding.namespace}" if binding.namespace else binding.name
        holder = f'{as_text(subject.get("kind"))} "{as_text(subject.get("name"))}"'
        because = f'RBAC: allowed by {binding.resource.kind} "{bound}" of {kind} "{name}" to {holder}'
        for rule in objects_at(role.body if role else {}, "rules"):
            yield Grant(rule, where, because)


def _bootstrap(user: User) -> Iterator[Grant]:
    rules: tuple[JsonObject, ...] = (_PUBLIC_URLS,)
    if AUTHENTICATED in user.groups:
        rules = (*_BASIC_RULES, *_DISCOVERY_URLS)
    for rule in rules:
        yield Grant(rule, None, f'RBAC: allowed by the bootstrap roles to Group "{user.groups[-1]}"')


def _is(subject: JsonObject, user: User) -> bool:
    kind, name = subject.get("kind"), as_text(subject.get("name"))
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{as_text(subject.get('namespace'))}:{name}"
    return kind == "User" and name == user.name


def _covers(grant: Grant, target: Target) -> bool:
    rule = grant.rule
    if not _lists(rule.get("verbs"), target.verb):
        return False
    if not target.resource:
        return any(_url(as_text(one), target.path) for one in as_list(rule.get("nonResourceURLs")))
    if grant.namespaces is not None and target.namespace not in grant.namespaces:
        return False
    names = [as_text(one) for one in as_list(rule.get("resourceNames"))]
    if names and target.name not in names:
        return False
    return _lists(rule.get("apiGroups"), target.group) and _resource(rule.get("resources"), target)


def _lists(values: object, value: str) -> bool:
    texts = as_list(values)
    return value in texts or "*" in texts


def _resource(values: object, target: Target) -> bool:
    texts = as_list(values)
    if not target.subresource:
        return target.resource in texts or "*" in texts
    return any(one in texts for one in (f"{target.resource}/{target.subresource}", f"*/{target.subresource}", "*"))


def _url(pattern: str, path: str) -> bool:
    return path == pattern or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _shown(rule: JsonObject) -> JsonObject:
    shown: JsonObject = {key: rule[key] for key in ("verbs", "apiGroups", "resources") if key in rule}
    if rule.get("resourceNames"):
        shown["resourceNames"] = rule["resourceNames"]
    return shown
