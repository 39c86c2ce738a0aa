"""When nothing may be written: freeze windows, and the kill switch in settings, file or ConfigMap.

Rules: a deny wins; what is configured and cannot be read denies; moments are the API server's, days and hours are
those of the window's own zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import StringConstraints, field_validator, model_validator

from tools import fields
from tools.errors import NotFound, PlumblineError
from tools.types import Frozen, KindRef, KubePort, ResourceRef

Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Hour: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
STOP_FILE = "STOP"
"""A file of this name in the state directory stops every write, whatever is in it."""
STOP_KEY = "stop"
"""Key of the ConfigMap; anything but `false` stops every write."""
_CONFIG_MAP = KindRef(kind="ConfigMap")


class Freeze(Frozen):
    """One window in which nothing is written: hours of days that come again, or one stretch of time."""

    days: tuple[Day, ...] = ()
    """Days on which it begins; with `begins` and `ends` and no days, every day."""
    begins: Hour | None = None
    ends: Hour | None = None
    """Not after `begins`: it reaches into the next day."""
    since: datetime | None = None
    until: datetime | None = None
    """A stretch, each with a zone (`2026-12-20T00:00:00Z`)."""
    zone: str = "UTC"
    namespaces: tuple[str, ...] = ()
    """Only objects of these; empty: everything."""
    reason: Annotated[str, StringConstraints(max_length=200)] = ""

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value[:60]!r} is no time zone; write UTC or Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _whole(self) -> Freeze:
        hours, stretch = (self.begins, self.ends), (self.since, self.until)
        if (None in hours) == (None in stretch) or hours.count(None) == 1 or stretch.count(None) == 1:
            raise ValueError("give begins and ends (HH:MM), or since and until")
        if any(moment is not None and moment.tzinfo is None for moment in stretch):
            raise ValueError("since and until need a zone, such as 2026-12-20T00:00:00Z")
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since is not before until")
        return self

    def holds(self, at: float) -> bool:
        """True at a moment within the window; its end is outside."""
        if self.since is not None and self.until is not None:
            return self.since.timestamp() <= at < self.until.timestamp()
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.zone))
        begins, ends = _clock(self.begins), _clock(self.ends)
        today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
        now = local.time().replace(tzinfo=None)
        if begins < ends:
            return self._on(today) and begins <= now < ends
        return (self._on(today) and now >= begins) or (self._on(yesterday) and now < ends)

    def _on(self, day: Day) -> bool:
        return not self.days or day in self.days


def _clock(hour: str | None) -> time:
    return time.fromisoformat(hour or "00:00")


def frozen(windows: Sequence[Freeze], target: ResourceRef, at: float) -> str:
    """Why nothing on the object is written at a moment, in one line; "" outside every window."""
    for window in windows:
        mine = not window.namespaces or target.namespace in window.namespaces
        if mine and window.holds(at):
            return f"a freeze window is open{f': {window.reason}' if window.reason else ''}"
    return ""


@dataclass(frozen=True, slots=True)
class Switches:
    """Implements Brakes."""

    kube: KubePort
    folder: Path
    """The state directory."""
    windows: Sequence[Freeze] = ()
    stop: bool = False
    config_map: str = ""
    """`namespace/name`; "" where none is used."""

    async def stopped(self, target: ResourceRef, at: float) -> str:
        """Why no write on the object may start at that moment, in one line; "" where one may."""
        if self.stop:
            return "the kill switch is set in the settings"
        try:
            (self.folder / STOP_FILE).lstat()  # a link to nowhere is there too
            return f"the kill switch is set: {self.folder / STOP_FILE} exists"
        except FileNotFoundError:
            pass
        except OSError as error:
            return f"the kill switch cannot be read: {error.strerror}"
        return await self._config_map() or frozen(self.windows, target, at)

    async def _config_map(self) -> str:
        if not self.config_map:
            return ""
        namespace, _, name = self.config_map.partition("/")
        try:
            found = await self.kube.get(_CONFIG_MAP, namespace=namespace, name=name)
        except NotFound:
            return f"the kill switch ConfigMap {self.config_map} is not there (create it with {STOP_KEY}: 'false')"
        except PlumblineError as error:
            return f"the kill switch ConfigMap {self.config_map} cannot be read: {error.message}"
        if fields.text(found, "data", STOP_KEY) != "false":
            return f"the kill switch is set in ConfigMap {self.config_map}"
        return ""
