"""A folder that holds a run: what is run, and each sample as it ends, so that a run that was killed goes on.

Rules: a sample is one file, written beside and renamed, so that it is there whole or not at all; what cannot be read
counts as not run; what the machine broke is kept, and run again when the run goes on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from evals.engine import Engine
from evals.items import Item
from evals.kept import Kept
from evals.perturb.drawing import Perturbing
from evals.types import Result, Scenario
from tools.errors import DocumentError, SettingsError, UnknownName
from tools.types import Frozen, digest_of

INFO = "run.json"
SAMPLES = "samples"
MAX_BYTES = 64 << 20
"""Bytes of one sample at most; those of our worlds take one MB."""
_NAME = re.compile(r"(?P<engine>\d{1,3})\.(?P<scenario>[A-Za-z0-9][A-Za-z0-9._-]*)@(?P<epoch>\d{1,4})\.jsonl")

_PIECE = re.compile(rb'\{"id":"(E\d{1,6})"')


class RunInfo(Frozen):
    """What a run is made of; two runs of the same are one."""

    engines: tuple[Engine, ...]
    scenarios: dict[str, str]
    """Name → digest of each scenario."""
    epochs: int = 1
    seed: int = 0
    perturbing: Perturbing | None = None
    """Given: every epoch is perturbed."""

    @property
    def samples(self) -> int:
        """How many samples it has."""
        return len(self.engines) * len(self.scenarios) * self.epochs


class Sample(Frozen):
    """A result as it is kept: a line for reports, one for graders, one a piece of evidence, and how many those are."""

    item: Item
    result: Result

    @property
    def text(self) -> str:
        """All lines."""
        texts = self.result.record.evidence.texts
        body = self.result.model_dump_json(exclude={"record": {"evidence"}})
        return "\n".join([self.item.model_dump_json(), body, *texts.values(), _end(len(texts)), ""])


def info_of(
    scenarios: Sequence[Scenario],
    engines: Sequence[Engine],
    *,
    epochs: int,
    seed: int,
    perturbing: Perturbing | None = None,
) -> RunInfo:
    """What a run of these is made of."""
    digests = {scenario.name: digest_of(scenario.model_dump(mode="json"))[:16] for scenario in scenarios}
    return RunInfo(engines=tuple(engines), scenarios=digests, epochs=epochs, seed=seed, perturbing=perturbing)


@dataclass(frozen=True, slots=True)
class RunDir:
    """One run's folder."""

    folder: Path
    info: RunInfo

    def path(self, scenario: str, epoch: int, engine: int = 0) -> Path:
        """Where a sample is kept."""
        return self.folder / SAMPLES / f"{engine}.{scenario}@{epoch}.jsonl"

    def keep(self, sample: Sample) -> None:
        """Write a sample. Raises OSError."""
        item = sample.item
        write(self.path(item.scenario, item.epoch, item.engine), sample.text)

    def samples(self) -> Iterator[Sample]:
        """Every sample that can be read, by scenario, engine and epoch."""
        for path in self._paths():
            if (sample := read_sample(path)) is not None:
                yield sample

    def sample(self, item: Item) -> Sample | None:
        """The sample of an item; None where it can no longer be read."""
        return read_sample(self.path(item.scenario, item.epoch, item.engine))

    def whole_items(self) -> list[Item]:
        """As `items`, where there are any. Raises SettingsError."""
        found = self.items()
        if not found and (broken := self.broken()):
            raise SettingsError(f"no file of {len(broken)} in {self.folder} holds a whole sample", hint="run it again")
        if not found:
            raise SettingsError(f"{self.folder} holds no sample yet", hint="run it first")
        return found

    def items(self) -> list[Item]:
        """Every sample in a few words, without those that cannot be read."""
        return [item for path in self._paths() if (item := read_item(path)) is not None]

    def broken(self) -> list[str]:
        """Names of files that hold no whole sample."""
        return [path.name for path in self._paths() if read_item(path) is None]

    def find(self, name: str) -> Sample:
        """A sample by its name in reports: a scenario, `#2` for its second epoch. Raises UnknownName, DocumentError."""
        scenario, _, epoch = name.replace(" ", "").partition("#")
        number = int(epoch) if epoch.isdigit() else 1
        for engine in range(len(self.info.engines)):
            path = self.path(scenario, number, engine)
            if scenario in self.info.scenarios and path.is_file():
                sample = read_sample(path)
                if sample is None:
                    raise DocumentError(path.name, None, "", "holds no sample that can be read")
                return sample
        raise UnknownName("sample", name, sorted(item.sample for item in self.items()))

    def _paths(self) -> list[Path]:
        found = [(path, _NAME.fullmatch(path.name)) for path in (self.folder / SAMPLES).glob("*.jsonl")]
        ours = [
            (path, match) for path, match in found if match is not None and match["scenario"] in self.info.scenarios
        ]
        return [
            path
            for path, m in sorted(
                ours, key=lambda one: (one[1]["scenario"], int(one[1]["engine"]), int(one[1]["epoch"]))
            )
        ]


def read_sample(path: Path) -> Sample | None:
    """The sample of a file; None where it is cut off or is none."""
    try:
        first, second, *pieces = _lines(path)
        result = Result.model_validate_json(second)
        texts = {_id(piece): piece.decode() for piece in pieces}
        record = result.record.model_copy(update={"evidence": Kept(texts)})
        return Sample(item=Item.model_validate_json(first), result=result.model_copy(update={"record": record}))
    except (OSError, ValueError):
        return None


def read_item(path: Path) -> Item | None:
    """The first line of a sample; None where it is cut off or is none."""
    try:
        return Item.model_validate_json(_lines(path)[0])
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[bytes]:
    """The lines of a sample but for its last. Raises OSError, ValueError where it is not whole."""
    if path.is_symlink() or path.stat().st_size > MAX_BYTES:
        raise ValueError("no sample of ours")
    *lines, end, rest = path.read_bytes().split(b"\n")
    if rest or end.decode() != _end(len(lines) - 2):
        raise ValueError("cut off")
    return lines


def _end(pieces: int) -> str:
    return f'{{"evidence":{pieces}}}'


def _id(piece: bytes) -> str:
    """The id of a piece of evidence, which is its first field. Raises ValueError."""
    if (found := _PIECE.match(piece)) is None:
        raise ValueError("no evidence")
    return found[1].decode()


def create(folder: Path, info: RunInfo) -> RunDir:
    """The folder of a run: a new one, or that of the same run, to go on with. Raises SettingsError, DocumentError."""
    try:
        (folder / SAMPLES).mkdir(parents=True, exist_ok=True)
        if not (folder / INFO).exists():
            if any((folder / SAMPLES).iterdir()):
                raise SettingsError(f"{folder} holds samples but no {INFO}", hint="name a new folder")
            write(folder / INFO, info.model_dump_json(indent=2))
            return RunDir(folder, info)
    except OSError as error:
        raise SettingsError(f"cannot write {folder}: {error.strerror}", hint="name a folder of your own") from None
    known = open_run(folder).info
    if known != info:
        raise SettingsError(f"{folder} holds another run: {_differs(known, info)}", hint="name a new folder")
    return RunDir(folder, info)


def _differs(known: RunInfo, wanted: RunInfo) -> str:
    changed = [name for name in RunInfo.model_fields if getattr(known, name) != getattr(wanted, name)]
    return f"its {' and '.join(changed)} are others"


def open_run(folder: Path) -> RunDir:
    """A run that is there. Raises SettingsError, DocumentError."""
    path = folder / INFO
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DocumentError(str(path), None, "", f"larger than {MAX_BYTES >> 20} MiB")
        return RunDir(folder, RunInfo.model_validate_json(path.read_bytes()))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint="give a folder of `eval run --out`") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(token) for token in first["loc"])
        raise DocumentError(str(path), None, where, "no run of `eval run --out`") from None


def write(path: Path, text: str | Iterable[str]) -> None:
    """Write a file, given whole or in pieces, whole or not at all. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
