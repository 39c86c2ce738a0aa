"""`plumbline record`: what it says, and bad words as one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command, Serve


def test_a_served_cluster_is_recorded_and_can_be_asked(plumbline: Command, serve: Serve, tmp_path: Path) -> None:
    site = serve("pending-taint")
    done = plumbline(
        "record", *site.flags, "--since", "10m", "--out", str(tmp_path / "w"), "why", "is", "distill", "pending?"
    )
    assert done.code == 0
    assert "series with" in done.out
    assert "left out: reactions" in done.out
    answer = plumbline("ask", "--world", str(tmp_path / "w"), "why is my job distill pending?")
    assert "U08" in answer.out
    assert "planted-canary" not in (tmp_path / "w" / "objects" / "Pod.yaml").read_text(encoding="utf-8")
    assert "holds something already" in plumbline("record", *site.flags, "--out", str(tmp_path / "w")).line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "{tmp}/no/w"), "there is no folder"),
        (("--out", "{tmp}/w", "--since", "soon"), "--since"),
        (("--out", "{tmp}/w", "--kubeconfig", "{tmp}/none"), "none"),
    ],
)
def test_bad_words_are_one_line(plumbline: Command, words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = plumbline("record", *(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert done.code == 2
    assert said in done.line
    assert list(tmp_path.iterdir()) == []
