"""Paging through one list, so that what arrives is all of it, or says what is missing.

Rules: limit and continue, never resourceVersion (with resourceVersion=0 a server ignores the limit); a page above
its byte limit is asked again in smaller pieces; an expired continue token starts the list again once.
Protocol: kubernetes.io/docs/reference/using-api/api-concepts, "Retrieving large results sets in chunks".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from tools.errors import BadAnswer
from tools.http import Deadline
from tools.kube import routes
from tools.kube.transport import Answer, ResponseExpired, Transport
from tools.types import ApiResource, JsonObject, Page, WireLimits

MAX_PAGES = 2000
"""Most requests one list may cost; 1,000,000 objects at 500 a page."""


@dataclass(slots=True)
class _Progress:
    """Where one reading of a list stands."""

    limit: int
    token: str = ""
    bytes: int = 0
    left: int | None = None
    """Objects the server says are still to come, where it says so."""
    restarted: bool = False
    seen: set[str] = field(default_factory=set)


class _Reading:
    """One list on its way in: asks, shrinks, restarts, and knows what it has delivered."""

    def __init__(
        self, transport: Transport, path: str, params: Mapping[str, str], *, resource: ApiResource, wire: WireLimits
    ) -> None:
        self._transport, self._path, self._params = transport, path, params
        self._resource, self._wire = resource, wire
        self._at = _Progress(limit=wire.page_items)

    async def next(self, deadline: Deadline) -> tuple[Page | None, bool]:
        """(a page to deliver or None, whether more may follow)."""
        at, wire = self._at, self._wire
        room = min(wire.page_bytes, wire.call_bytes - at.bytes)
        try:
            answer = await self._ask(room, deadline)
        except ResponseExpired:
            if at.restarted or not at.token:
                return self._ends("the list expired twice while it was read"), False
            at.restarted, at.token = True, ""
            return Page([], warnings=("the list expired while it was read; the rest is of a later moment",)), True
        if answer.cut:
            return self._too_large(room)
        page = self._page(await self._transport.parse(answer.body))
        at.bytes += len(answer.body)
        if at.token and at.bytes >= wire.call_bytes:
            page.truncated = self._what_is_missing(f"the call's {wire.call_bytes >> 10} KiB are used up")
            return page, False
        return page, bool(at.token)

    async def _ask(self, room: int, deadline: Deadline) -> Answer:
        params = {**self._params, "limit": str(self._at.limit), "continue": self._at.token}
        return await self._transport.fetch(self._path + routes.query(**params), limit=room, deadline=deadline)

    def _too_large(self, room: int) -> tuple[Page | None, bool]:
        if self._at.limit > 1:
            self._at.limit = max(1, self._at.limit // 4)
            return None, True
        if room < self._wire.page_bytes:
            return self._ends(f"the call's {self._wire.call_bytes >> 10} KiB are used up"), False
        return self._ends(f"the next object is larger than {room >> 10} KiB"), False

    def _page(self, parsed: JsonValue) -> Page:
        items = parsed.get("items", False) if isinstance(parsed, dict) else False
        if not isinstance(parsed, dict) or not (items is None or isinstance(items, list)):
            raise BadAnswer(f"the API server answered a list of {self._resource.plural} without items")
        meta = parsed.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        token, left = meta.get("continue"), meta.get("remainingItemCount")
        self._at.token = token if isinstance(token, str) else ""
        self._at.left = left if isinstance(left, int) else None
        objects = [item for item in items or () if isinstance(item, dict)]
        odd = len(items or ()) - len(objects)
        warnings = (f"{odd} items of the list are no objects",) if odd else ()
        return Page([item for item in objects if self._fresh(item)], warnings=warnings)

    def _fresh(self, item: JsonObject) -> bool:
        """False for an object delivered before a restart. Adds the type, which lists of built-in kinds leave out."""
        item.setdefault("apiVersion", "/".join(filter(None, (self._resource.group, self._resource.version))))
        item.setdefault("kind", self._resource.kind)
        meta = item.get("metadata")
        identity = meta.get("uid") if isinstance(meta, dict) else None
        if not isinstance(identity, str):
            return True
        if self._at.restarted and identity in self._at.seen:
            return False
        self._at.seen.add(identity)
        return True

    def _ends(self, why: str) -> Page:
        return Page([], truncated=self._what_is_missing(why))

    def _what_is_missing(self, why: str) -> str:
        at = self._at
        rest = f"{at.left} more" if at.left is not None and at.token else "the rest"
        plural = self._resource.plural
        return f"{why}: {rest} of the {plural} were not read; ask for one namespace or a label selector"

    def over(self) -> Page:
        """The last page of a list that has more pages than are ever read."""
        return self._ends(f"{MAX_PAGES} pages are the most that is read")


async def read_pages(
    transport: Transport,
    path: str,
    params: Mapping[str, str],
    *,
    resource: ApiResource,
    wire: WireLimits,
    deadline: Deadline,
) -> AsyncIterator[Page]:
    """Yield the pages of `path`; the last has `truncated` set when the reading ended before the list did.

    Raises NotServed, Denied, Unavailable, BadAnswer; pages yielded before stay valid, but are not the whole.
    """
    reading = _Reading(transport, path, params, resource=resource, wire=wire)
    for _ in range(MAX_PAGES):
        page, more = await reading.next(deadline)
        if page is not None:
            yield page
        if not more:
            return
    yield reading.over()
