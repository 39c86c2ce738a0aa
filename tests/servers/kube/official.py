"""The official client as tests use it. Its untyped corners are all in this file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubernetes.aio import client as api
from kubernetes.aio import config, watch
from kubernetes.aio.dynamic import DynamicClient

from evals.servers.kube.jsonread import as_object, as_text, dig
from evals.servers.kube.server import KubeServer
from tools.types import JsonObject


@asynccontextmanager
async def connect(to: KubeServer | str) -> AsyncIterator[api.ApiClient]:
    """An ApiClient for a world server, or for the cluster of a kubeconfig file."""
    if isinstance(to, str):
        made: api.ApiClient = await config.new_client_from_config(to)  # type: ignore[no-untyped-call]  # its own code
    else:
        made = await config.new_client_from_config_dict(to.kubeconfig())  # type: ignore[no-untyped-call]  # its own code
    try:
        yield made
    finally:
        await made.close()  # type: ignore[no-untyped-call]  # the client is untyped here


def plain(made: api.ApiClient, model: object) -> JsonObject:
    """A model as the JSON it stands for."""
    return as_object(made.sanitize_for_serialization(model))  # type: ignore[no-untyped-call]  # as above


def impersonate(made: api.ApiClient, user: str) -> None:
    """Make every further request as another user."""
    made.set_default_header("Impersonate-User", user)  # type: ignore[no-untyped-call]  # the client is untyped here


async def watch_names(listing: object, namespace: str, *, count: int, resource_version: str = "") -> list[str]:
    """Names of the objects of the first `count` events of a watch."""
    more = {"resource_version": resource_version} if resource_version else {}
    names: list[str] = []
    async with watch.Watch() as events:  # type: ignore[no-untyped-call]  # the client is untyped here
        async for event in events.stream(listing, namespace, timeout_seconds=30, **more):
            names.append(as_text(dig(event, "raw_object", "metadata", "name")))
            if len(names) == count:
                break
    return names


async def dynamic_client(made: api.ApiClient) -> DynamicClient:
    """The dynamic client, discovery done."""
    found: DynamicClient = await DynamicClient(made)  # type: ignore[no-untyped-call]  # the client is untyped here
    return found


async def send(
    made: api.ApiClient, method: str, path: str, *, accept: str, body: JsonObject | None, timeout: float
) -> tuple[int, str, bytes]:
    """One raw request: (status, content type, body). A PATCH is a JSON merge patch."""
    sent = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Accept": accept, "Content-Type": sent}
    prepared = await made.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
    response = await made.call_api(*prepared, _request_timeout=timeout)
    raw: bytes = await response.read()  # type: ignore[no-untyped-call]  # the client is untyped here
    kind = response.getheader("Content-Type") or ""  # type: ignore[no-untyped-call]  # the client is untyped here
    return response.status, kind, raw
