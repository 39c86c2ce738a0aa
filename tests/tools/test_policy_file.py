"""Which policy is in force: the one of a file, or the one that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.errors import SettingsError
from tools.policy import default_policy, policy_at


@pytest.mark.parametrize("there", [b"\xff\xfe", None])
def test_a_policy_that_cannot_be_read_is_told(tmp_path: Path, there: bytes | None) -> None:
    path = tmp_path / "policy.toml"
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(SettingsError, match="not text" if there else "No such file"):
        policy_at(path)


def test_without_a_file_the_one_that_ships_is_in_force() -> None:
    assert policy_at(None) == default_policy()
