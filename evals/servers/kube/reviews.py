"""Access reviews: what a user may do, asked as objects that are answered and never stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from evals.servers.kube.access import Authority
from evals.servers.kube.calls import Answer, Call, Target, User
from evals.servers.kube.jsonread import as_list, as_object, as_text, rfc3339
from evals.servers.kube.managed import owned_fields
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.patch import decode_body, manager_of
from evals.servers.kube.status import Cause, invalid
from evals.servers.kube.views import answer
from evals.world.model import World
from tools.types import JsonObject

_GROUP = "authorization.k8s.io"
_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


class Reviewer:
    """Answers the reviews of one world."""

    def __init__(self, world: World, authority: Authority) -> None:
        self._world, self._authority = world, authority

    def self_access(self, call: Call) -> Answer:
        """SelfSubjectAccessReview: may I?"""
        return self._access(call, "SelfSubjectAccessReview", call.user)

    def access(self, call: Call) -> Answer:
        """SubjectAccessReview and LocalSubjectAccessReview: may they?"""
        spec = as_object(decode_body(call).get("spec"))
        groups = tuple(as_text(one) for one in as_list(spec.get("groups")))
        local = call.target.resource == "localsubjectaccessreviews"
        kind = "LocalSubjectAccessReview" if local else "SubjectAccessReview"
        if not spec.get("user") and not groups:
            raise invalid(
                kind,
                _GROUP,
                "",
                [("FieldValueRequired", "at least one of user or group must be specified", "spec.user")],
            )
        return self._access(call, kind, User(as_text(spec.get("user")), groups))

    def _access(self, call: Call, kind: str, user: User) -> Answer:
        want = wanted(call.accept, kinds=())
        spec = as_object(decode_body(call).get("spec"))
        allowed, reason = self._authority.decide(user, _target(kind, spec))
        status: JsonObject = {"allowed": allowed}
        if reason:
            status["reason"] = reason
        shown = _without_empty(spec)
        metadata: JsonObject = {"managedFields": [self._managed(call, shown)]}
        return answer({**_head(kind), "metadata": metadata, "spec": shown, "status": status}, want, status=201)

    def _managed(self, call: Call, spec: JsonObject) -> JsonObject:
        return {
            "manager": manager_of(call),
            "operation": "Update",
            "apiVersion": f"{_GROUP}/v1",
            "time": rfc3339(self._world.clock.now),
            "fieldsType": "FieldsV1",
            "fieldsV1": owned_fields({"spec": spec}),
        }

    def rules(self, call: Call) -> Answer:
        """SelfSubjectRulesReview: what may I do here?"""
        want = wanted(call.accept, kinds=())
        namespace = as_text(as_object(decode_body(call).get("spec")).get("namespace"))
        if not namespace:
            cause: Cause = ("FieldValueRequired", "no namespace on request", "spec.namespace")
            raise invalid("SelfSubjectRulesReview", _GROUP, "", [cause])
        resources, urls = self._authority.rules(call.user, namespace)
        status: JsonObject = {
            "resourceRules": list(resources),
            "nonResourceRules": list(urls),
            "incomplete": False,
        }
        body: JsonObject = {**_head("SelfSubjectRulesReview"), "metadata": {}, "spec": {}, "status": status}
        return answer(body, want, status=201)

    def whoami(self, call: Call) -> Answer:
        """SelfSubjectReview: who am I?"""
        want = wanted(call.accept, kinds=())
        who: JsonObject = {"username": call.user.name, "groups": list(call.user.groups)}
        body: JsonObject = {
            "kind": "SelfSubjectReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": rfc3339(self._world.clock.now)},
            "status": {"userInfo": who},
        }
        return answer(body, want, status=201)


REVIEWS: Mapping[str, Callable[[Reviewer, Call], Answer]] = {
    "selfsubjectaccessreviews": Reviewer.self_access,
    "subjectaccessreviews": Reviewer.access,
    "localsubjectaccessreviews": Reviewer.access,
    "selfsubjectrulesreviews": Reviewer.rules,
    "selfsubjectreviews": Reviewer.whoami,
}
"""What answers the creation of a review, by resource."""


def _head(kind: str) -> JsonObject:
    return {"kind": kind, "apiVersion": f"{_GROUP}/v1"}


def _target(kind: str, spec: JsonObject) -> Target:
    attributes, url = as_object(spec.get("resourceAttributes")), as_object(spec.get("nonResourceAttributes"))
    if bool(attributes) == bool(url):
        problem = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(
            kind, _GROUP, "", [("FieldValueInvalid", f"Invalid value: {json.dumps(spec)}: {problem}", "spec")]
        )
    if url:
        return Target(verb=as_text(url.get("verb")).lower(), path=as_text(url.get("path")))
    texts = {name: as_text(attributes.get(name)) for name in _ATTRIBUTES}
    return Target(path="", **texts)


def _without_empty(spec: JsonObject) -> JsonObject:
    """A spec as the server echoes it: empty strings are absent fields."""
    attributes = as_object(spec.get("resourceAttributes"))
    if not attributes:
        return spec
    return {**spec, "resourceAttributes": {key: value for key, value in attributes.items() if value != ""}}
