"""A written world is read back as what went in, holds no secret, and never replaces anything."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from evals.promql.model import is_stale
from evals.recording import writer
from evals.recording.writer import LeftOut, Recorded, write_world
from evals.world.lint import lint
from evals.world.load import load
from evals.world.manifests import identity_of
from evals.world.model import Matcher, RawSeries
from evals.world.samples import read_samples, written
from evals.world.series import STALE
from tools.errors import DocumentError, SettingsError
from tools.types import JsonObject

NOW = 1_778_594_400
SECRET = "hunter2-correct-horse-battery"


def _pod(**annotations: str) -> JsonObject:
    env: list[JsonValue] = [{"name": "DB_PASSWORD", "value": SECRET}]
    container: JsonObject = {"name": "c", "image": "i", "env": env, "args": ["--api-key", SECRET]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a",
            "namespace": "n",
            "creationTimestamp": "2026-05-12T13:00:00Z",
            "annotations": {**annotations},
        },
        "spec": {"containers": [container]},
        "status": {"message": f"cannot log in with {SECRET}"},
    }


def _series(**values: list[tuple[float, float]]) -> list[RawSeries]:
    return [
        RawSeries({"__name__": name, "odd": 'a"b\\c\nd}'}, [NOW + at for at, _ in points], [v for _, v in points])
        for name, points in values.items()
    ]


POINTS = {
    "regular": [(-60.0, 1.0), (-45.0, 1.0), (-30.0, 2.5), (-15.0, math.inf), (0.0, -0.0)],
    "with_holes": [(-120.0, 0.1), (-105.0, 0.2), (-60.0, math.nan), (-45.0, 3e-7), (-30.0, 1e21)],
    "jittered": [(-59.998, 1.0), (-45.0, 1.0), (-29.997, 1.0), (-15.0, 123456789012345.0)],
    "ended": [(-90.0, 5.0), (-75.0, STALE), (-15.0, 5.0)],
    "single": [(-7.25, 4.0)],
}


def test_series_come_back_bit_by_bit(tmp_path: Path) -> None:
    write_world(tmp_path / "w", Recorded("d", NOW, series=_series(**POINTS)))
    found = load(str(tmp_path / "w")).series.select((Matcher("__name__", "=~", ".+"),), NOW - 3600, NOW)
    assert {one.labels["__name__"] for one in found} == set(POINTS)
    for one in found:
        assert one.labels["odd"] == 'a"b\\c\nd}'
        points = POINTS[one.labels["__name__"]]
        assert list(one.times) == pytest.approx([NOW + at for at, _ in points], abs=1e-6)
        for value, (_, wanted) in zip(one.values, points, strict=True):
            assert (repr(value), is_stale(value)) == (repr(wanted), is_stale(wanted))


def test_equal_samples_take_one_token() -> None:
    ones = RawSeries({"__name__": "up"}, [NOW - 30.0 * n for n in range(720, 0, -1)], [1.0] * 720)
    assert list(written([ones], NOW)) == ["up{} @-21600/30 1*720\n"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("up 1 2 3", "not a series"),
        ("up{} @-60/30 1 x", "is not a number"),
        ("up{} @-60/30 1*99999999", "too many samples"),
        ("up{} @-60/0 1*5", "too many samples"),
        ("up{} @-60/30 1 1 @-90/30 1", "lies before"),
        ("up{} @-60/30 1 1 @x/30 1", "does not begin a run"),
        ('up{a="b" c="d"} @-60/30 1', "labels cannot be read"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "a.samples"
    path.write_text(f"# samples\n{line}\n")
    with pytest.raises(DocumentError, match=f"a.samples:2.*{problem}"):
        list(read_samples(path, "a.samples"))


def test_a_packed_file_is_bounded_and_may_be_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.samples.gz"
    path.write_bytes(gzip.compress(b"up{} @0/0 1\n" * 500)[:-20])
    with pytest.raises(DocumentError, match="cannot be read"):
        list(read_samples(path, "a"))
    path.write_bytes(gzip.compress(b" " * 5000))
    monkeypatch.setattr("evals.world.samples.MAX_TEXT", 4000)
    with pytest.raises(DocumentError, match="larger than"):
        list(read_samples(path, "a"))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_no_secret_is_written_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    applied = f'{{"kind":"Pod","spec":{{"containers":[{{"env":[{{"name":"TOKEN","value":"{SECRET}"}}]}}]}}}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied, "example.org/password": SECRET}
    secret: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}}
    directive: JsonObject = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "$pods": {}}
    moment: JsonObject = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "t", "labels": {"x": "@-5m"}}}
    log = f"2026-05-12T13:59:00.000000Z Authorization: Bearer {SECRET}\n".encode()
    bodies: list[JsonObject] = [_pod(**annotations), secret, directive, moment]
    done = write_world(
        tmp_path / "w", Recorded("d", NOW, objects=bodies, logs={("n", "a", "c"): log, ("n", "../x", "c"): log})
    )
    for name, raw in _bytes(tmp_path / "w").items():
        content = gzip.decompress(raw) if name.endswith(".gz") else raw
        assert SECRET.encode() not in content, name
    assert done.redacted >= 5
    why = {one.what: one.why for one in done.left_out}
    assert why["n/Secret/s"] == "Secrets are never recorded"
    assert "directive" in why["Service/d"]
    assert "time of a world" in why["Service/t"]
    assert "log of n/../x/c" in why
    world = load(str(tmp_path / "w"))
    assert [identity_of(body)[1] for body in world.objects] == ["Pod"]
    assert world.logs[("n", "a", "c")].startswith(b"2026-05-12T13:59:00.000000Z Authorization: ")


def test_a_recorded_world_is_sound_moves_and_is_written_alike(tmp_path: Path) -> None:
    bodies = [_pod()]
    series = _series(**POINTS)
    write_world(tmp_path / "a", Recorded("d", NOW, objects=bodies, series=series))
    write_world(tmp_path / "b", Recorded("d", NOW, objects=bodies[::-1], series=series[::-1]))
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    assert lint(tmp_path / "a") == []
    metadata = load(str(tmp_path / "a"), anchor=NOW + 86_400).objects[0]["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["creationTimestamp"] == "2026-05-13T13:00:00Z"


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(SettingsError, match="holds something already"):
        write_world(tmp_path / "full", Recorded("d", NOW))
    with pytest.raises(SettingsError, match="there is no folder"):
        write_world(tmp_path / "no" / "w", Recorded("d", NOW))

    def interrupted(*_: object) -> Iterator[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "written", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / "w", Recorded("d", NOW, objects=[_pod()]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_the_report_counts(tmp_path: Path) -> None:
    done = write_world(
        tmp_path / "w", Recorded("d", NOW, series=_series(**POINTS), left_out=[LeftOut("b", "x"), LeftOut("a", "y")])
    )
    assert (done.objects, done.series, done.samples) == (0, 5, 18)
    assert [one.what for one in done.left_out] == ["a", "b"]
