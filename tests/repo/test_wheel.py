"""The wheel adds one name to site-packages, and runs beside another package's `tools`."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.repo.test_house_style import PACKAGES, ROOT

ROGUE = "raise RuntimeError('a stranger was imported')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network and without touching the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as build; print(build.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


def test_it_adds_exactly_one_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    assert {entry for entry in top if not entry.endswith(".dist-info")} == {"plumbline"}
    assert {name.split("/")[2] for name in names if name.startswith("plumbline/_app/")} == {*PACKAGES} - {"plumbline"}


def test_it_carries_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = [
        p for folder in PACKAGES for p in (ROOT / folder).rglob("*") if p.suffix in (".toml", ".yaml", ".md", ".log")
    ]
    assert len(data) > 10
    for path in data:
        assert f"plumbline/_app/{path.relative_to(ROOT)}" in names
    assert not [name for name in names if name.endswith(".pyc") or "tests/" in name]


def test_it_starts_in_an_empty_environment_beside_strangers(wheel: Path, tmp_path: Path) -> None:
    where = tmp_path / "venv"
    venv.create(where, with_pip=False, symlinks=True)
    packages = next(where.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for stranger in ("tools", "agent"):  # one installed beside us, one in the working directory
        place = packages if stranger == "tools" else tmp_path
        (place / stranger).mkdir()
        (place / stranger / "__init__.py").write_text(ROGUE)
    borrowed = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(where / "bin" / "python"), "-m", "plumbline", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)

    version = run("version", "-o", "json")
    assert version.returncode == 0, version.stderr
    assert json.loads(version.stdout)["plumbline"] == "0.1.0"
    worlds = run("world", "list")
    assert worlds.returncode == 0, worlds.stderr
    assert "fleet" in worlds.stdout
