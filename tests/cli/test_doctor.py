"""`doctor` names what is wrong and what to do, one line a check; and the small commands beside it."""

from __future__ import annotations

import json
import re
from importlib.metadata import packages_distributions

import pytest

from tests.cli.conftest import UNSAFE, Command, Done, Serve
from tests.cli.test_unwilling_servers import closed_port


def levels(done: Done) -> dict[str, str]:
    """Check → level; fails on a line of another form."""
    out: dict[str, str] = {}
    for line in done.out.splitlines():
        found = re.fullmatch(r"(ok|warn|fail) +(\S[\w ]*?) {2,}(\S.*)", line)
        assert found, line
        out[found[2]] = found[1]
    return out


def test_a_setup_that_works(plumbline: Command, serve: Serve) -> None:
    done = plumbline("doctor", *serve("fleet").flags)
    assert done.code == 0
    found = levels(done)
    assert found["python"] == found["state directory"] == found["api server"] == found["prometheus"] == "ok"
    assert found["gpu telemetry"] == found["clocks"] == found["lockdown"] == "ok"
    assert found["rights"] == "warn"
    assert re.search(r"gpu telemetry +64 GPUs report", done.out)


def test_without_a_cluster(plumbline: Command) -> None:
    done = plumbline("doctor")
    assert done.code == 1
    assert levels(done)["api server"] == "fail"
    assert "give --kubeconfig FILE" in done.out


def test_a_prometheus_that_is_down(plumbline: Command, serve: Serve) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    done = plumbline("doctor", "--kubeconfig", str(serve().kubeconfig), "--prometheus", url)
    assert done.code == 1
    assert levels(done)["prometheus"] == "fail"
    assert levels(done)["api server"] == "ok"


def test_no_gpu_series(plumbline: Command, serve: Serve) -> None:
    done = plumbline("doctor", *serve("telemetry-off").flags)
    assert done.code == 0
    assert levels(done)["gpu telemetry"] == "warn"
    assert "dcgm-exporter" in done.out


def test_an_expired_token(plumbline: Command, serve: Serve) -> None:
    done = plumbline("doctor", *serve("fleet", {"server": "kube", "match": "", "status": 401}).flags)
    assert done.code == 1
    assert "log in again" in done.out


def test_a_state_directory_that_cannot_be_written(
    plumbline: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_STATE_DIR", "/dev/null/state")
    done = plumbline("doctor", *serve().flags)
    assert done.code == 1
    assert levels(done)["state directory"] == "fail"
    assert "set PLUMBLINE_STATE_DIR" in done.out


def test_a_variable_that_means_nothing(plumbline: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_TEAM_LABLE", "team")
    done = plumbline("doctor", *serve().flags)
    assert levels(done)["settings"] == "warn"
    assert "PLUMBLINE_TEAM_LABLE" in done.out


def test_who_set_what_is_shown(plumbline: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_TEAM_LABEL", "squad")
    done = plumbline("doctor", *serve().flags)
    assert "team_label by $PLUMBLINE_TEAM_LABEL" in done.out
    assert "prometheus by --prometheus" in done.out


def test_a_stranger_with_our_folder_names(plumbline: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    owned = {**packages_distributions(), "tools": ["some-package"]}
    monkeypatch.setattr("plumbline.doctor.packages_distributions", lambda: owned)
    done = plumbline("doctor", *serve().flags)
    assert done.code == 0
    assert levels(done)["other packages"] == "warn"
    assert "tools (some-package)" in done.out


def test_a_hostile_server_version_reaches_no_terminal(plumbline: Command, serve: Serve) -> None:
    body = json.dumps({"gitVersion": "v1.36\x1b[2J\u202e", "major": "1", "minor": "36"})
    done = plumbline("doctor", *serve("fleet", {"server": "kube", "match": "/version", "body": body}).flags)
    assert not UNSAFE.search(done.out + done.err)


def test_versions(plumbline: Command) -> None:
    assert re.search(r"(?m)^plumbline +\d+\.\d+\.\d+$", plumbline("version").out)
    assert {"plumbline", "python", "langgraph", "kubernetes"} <= plumbline("version", "-o", "json").json.keys()


def test_worlds_are_listed_with_what_they_are(plumbline: Command) -> None:
    done = plumbline("world", "list")
    assert done.code == 0
    assert re.search(r"(?m)^hpa-cpu +search/chat-70b is scaled", done.out)


def test_eval_runs_the_scenarios_named_and_reports(plumbline: Command) -> None:
    done = plumbline("eval", "hpa-cpu*", "--workers", "1")
    assert done.code == 0
    assert re.search(r"scenarios? passed", done.out)
    nothing = plumbline("eval", "nosuch*")
    assert nothing.code == 2
    assert nothing.line
