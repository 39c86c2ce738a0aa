"""The command line: flags and sub-commands, each imported only when it runs.

Rules: data on stdout, everything else on stderr; exit codes 0 answered, 1 failed, 2 usage or settings, 3 findings
at or above --fail-on, 130 interrupted. `--help` loads argparse and nothing of ours.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from plumbline.cli_changes import add_changes, add_rbac
from plumbline.cli_eval import add_eval, spelled_out
from plumbline.cli_record import add_record

FAILED, USAGE, FOUND, INTERRUPTED = 1, 2, 3, 130
SEVERITIES = ("low", "medium", "high", "critical")
FORMATS = ("table", "json", "yaml", "markdown")


def program(argv0: str | None = None) -> str:
    """The name users typed: `kubectl plumbline` as a kubectl plugin."""
    name = os.path.basename(argv0 if argv0 is not None else sys.argv[0])
    return "kubectl plumbline" if name.startswith("kubectl-") else "plumbline"


def typed() -> str:
    """The command as it can be typed here: by its path while it is not on PATH, as after `make setup`."""
    import shutil

    script = os.path.relpath(sys.argv[0])
    plain = program() == "plumbline" and not shutil.which("plumbline") and os.path.basename(script) == "plumbline"
    return script if plain else program()


def _target_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("target")
    group.add_argument("--world", metavar="NAME", help="a recorded world instead of a cluster (see `world list`)")
    group.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file, or a list as in KUBECONFIG")
    group.add_argument("--context", metavar="NAME", help="kubeconfig context")
    group.add_argument("--as", dest="as_user", metavar="USER", help="impersonate a user")
    group.add_argument("--as-group", dest="as_groups", action="append", metavar="GROUP", help="impersonate a group")
    group.add_argument("--request-timeout", metavar="DURATION", help="longest time for one request, such as 10s")
    group.add_argument("--prometheus", metavar="URL", help="Prometheus-compatible server (default: looked for)")
    group.add_argument("--anchor", choices=("world", "now"), default="world", help="date a world by itself or by now")


def _scope_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scope")
    group.add_argument("-n", "--namespace", metavar="NAME", help="one namespace")
    group.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces (the default)")
    group.add_argument("-l", "--selector", default="", metavar="LABELS", help="label selector for workloads")
    group.add_argument("--at", metavar="TIME", help="look from this time (RFC 3339 or Unix seconds)")
    group.add_argument("--since", metavar="DURATION", help="history that matters, such as 6h or 7d")


def _model_flags(parser: argparse.ArgumentParser, *, comparing: bool = True) -> None:
    group = parser.add_argument_group("language model")
    group.add_argument("--reasoner", choices=("auto", "playbook", "llm"), help="auto: a model where one is named")
    group.add_argument("--model", metavar="NAME", help="model at the endpoint; without one the playbook answers")
    group.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1")
    if comparing:
        group.add_argument("--no-diagnosers", action="store_true", help="no cause judges: the model alone, to compare")


def _answer_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("answer")
    group.add_argument("-o", "--output", choices=FORMATS, default="table", help="form of the answer")
    group.add_argument("--mode", choices=("incident", "propose"), default="propose", help="what a run may leave behind")
    group.add_argument("--accept-writable-credentials", action="store_true", help="allow incident mode all the same")
    group.add_argument("--fail-on", choices=SEVERITIES, metavar="SEVERITY", help="exit 3 on findings of this weight")
    group.add_argument("--no-color", action="store_true", help="no colour (NO_COLOR does the same)")
    group.add_argument("-v", "--verbose", action="store_true", help="show every call and, on a bug, the traceback")


def parser(prog: str = "plumbline") -> argparse.ArgumentParser:
    """The whole grammar."""
    root = argparse.ArgumentParser(
        prog=prog,
        description="Ask why GPUs are under-used or what drifted, and get an answer that cites its evidence.",
        epilog="Exit codes: 0 answered, 1 failed, 2 usage or settings, 3 findings at --fail-on, 130 interrupted.",
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _asking(commands)
    _keeping(commands)
    add_eval(commands, _model_flags)
    _world(commands)
    add_record(commands, _target_flags)
    return root


def _asking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    ask = commands.add_parser("ask", help="answer a question in plain language")
    ask.add_argument("question", nargs="*", help="the question, a follow-up with -c, or a command such as /help")
    which = ask.add_mutually_exclusive_group()
    which.add_argument(
        "-c", "--continue", dest="go_on", action="store_true", help="go on in this target's newest session"
    )
    which.add_argument("--session", metavar="ID", help="go on in this session")
    which.add_argument("--resume", metavar="ID", help="finish an interrupted run of this session")
    diagnose = commands.add_parser("diagnose", help="judge every cause, without a question")
    diagnose.add_argument("--family", action="append", choices=("gpu", "drift"), help="family of causes (repeatable)")
    demo = commands.add_parser("demo", help="a cited diagnosis on an embedded world; no key, no cluster")
    for command in (ask, diagnose):
        _target_flags(command)
        _scope_flags(command)
        _model_flags(command)
    for command in (ask, diagnose, demo):
        _answer_flags(command)
    ask.add_argument_group("changes").add_argument(
        "--with-applier",
        metavar="KUBECONFIG",
        help="start an applier with these credentials beside this command: it previews what is proposed",
    )
    ask.set_defaults(module="plumbline.asking", function="ask")
    diagnose.set_defaults(module="plumbline.asking", function="diagnose")
    demo.set_defaults(module="plumbline.asking", function="demo")


def _keeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser("replay", help="play a stored session again")
    replay.add_argument("session", help="session id (see `sessions`)")
    replay.add_argument("--run", type=int, help="run number (default: the last)")
    replay.add_argument("-o", "--output", choices=("table", "json"), default="table")
    replay.add_argument("--no-color", action="store_true")
    replay.set_defaults(module="plumbline.keeping", function="replay")
    evidence = commands.add_parser("evidence", help="show the evidence behind a citation")
    evidence.add_argument("session")
    evidence.add_argument(
        "evidence", help="evidence id, such as E4, or a citation, such as E4/search/chat-70b/spec/replicas"
    )
    evidence.add_argument("--run", type=int, help="run number (default: the last)")
    evidence.add_argument("-o", "--output", choices=("table", "json"), default="table")
    evidence.add_argument("--no-color", action="store_true")
    evidence.set_defaults(module="plumbline.keeping", function="evidence")
    _sessions(commands)
    add_changes(commands)
    add_rbac(commands)
    audit = commands.add_parser("audit", help="the hash-chained log of everything that was done")
    audits = audit.add_subparsers(dest="audit_command", metavar="COMMAND", required=True)
    verify = audits.add_parser("verify", help="check the chain, and a head you kept")
    verify.add_argument("--head", metavar="DIGEST", help="a head printed earlier; its loss is a truncation")
    verify.set_defaults(module="plumbline.keeping", function="audit_verify")
    for name, function, text in (
        ("show", "audit_show", "the newest entries, one a line"),
        ("export", "audit_export", "every entry as it stands, after the chain was checked"),
    ):
        part = audits.add_parser(name, help=text)
        part.add_argument("--proposal", metavar="ID", help="only entries about this proposed change")
        if name == "show":
            part.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many")
        part.set_defaults(module="plumbline.keeping", function=function)
    doctor = commands.add_parser("doctor", help="explain a broken setup")
    _target_flags(doctor)
    _model_flags(doctor, comparing=False)
    doctor.set_defaults(module="plumbline.doctor", function="run")
    version = commands.add_parser("version", help="versions of Plumbline and what it stands on")
    version.add_argument("-o", "--output", choices=("table", "json"), default="table")
    version.set_defaults(module="plumbline.keeping", function="version")


def _sessions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sessions = commands.add_parser("sessions", help="list stored sessions, or export one")
    sessions.add_argument("-o", "--output", choices=("table", "json"), default="table")
    sessions.set_defaults(module="plumbline.keeping", function="sessions")
    parts = sessions.add_subparsers(dest="sessions_command", metavar="COMMAND")
    listing = parts.add_parser("list", help="list them, newest first (the default)")
    listing.add_argument("-o", "--output", choices=("table", "json"), default=argparse.SUPPRESS)
    export = parts.add_parser("export", help="a whole session: questions, answers, queries, audit heads")
    export.add_argument("session", metavar="ID", help="session id (see `sessions`)")
    export.add_argument("-o", "--output", choices=("markdown", "json"), default="markdown")
    export.add_argument("--out", metavar="FILE", help="write it to a new file (default: standard output)")
    export.set_defaults(module="plumbline.keeping", function="export")


def _world(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    world = commands.add_parser("world", help="list recorded worlds, check them, or serve one to other programs")
    worlds = world.add_subparsers(dest="world_command", metavar="COMMAND", required=True)
    listing = worlds.add_parser("list", help="the worlds that come with Plumbline")
    listing.set_defaults(module="plumbline.worlds", function="listing")
    linting = worlds.add_parser("lint", help="explain every mistake of worlds and scenarios: file, line, field")
    linting.add_argument(
        "names", nargs="*", metavar="WORLD", help="names, folders, or scenario files (default: all worlds)"
    )
    linting.add_argument("-o", "--output", choices=("table", "json"), default="table")
    linting.set_defaults(module="plumbline.worlds", function="linting")
    serve = worlds.add_parser("serve", help="serve a world's API server and Prometheus on loopback ports")
    serve.add_argument("name")
    serve.add_argument("--anchor", choices=("world", "now"), default="world", help="date it by itself or by now")
    serve.add_argument("--run-clock", action="store_true", help="let its clock run (default: it stands still)")
    serve.add_argument("--kubeconfig-out", metavar="FILE", help="write the kubeconfig here (default: a temporary file)")
    serve.add_argument("--prometheus-bin", nargs="?", const="prometheus", metavar="PATH", help="a real Prometheus")
    serve.add_argument("--history", default="6h", metavar="DURATION", help="history given to a real Prometheus")
    serve.add_argument("--kube-port", type=int, default=0, help="port of the API server (default: any)")
    serve.add_argument("--prom-port", type=int, default=0, help="port of Prometheus (default: any)")
    serve.set_defaults(module="plumbline.worlds", function="serve")


def main(argv: Sequence[str]) -> int:
    """Parse, run, and turn every outcome into an exit code and at most one line on stderr."""
    try:
        arguments = parser(program()).parse_args(spelled_out(argv))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    if arguments.module == "plumbline.asking" and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        sys.stderr.write("\r\x1b[2Kstarting")  # said before the slow imports, so that nobody waits in silence
        sys.stderr.flush()
    try:
        from plumbline.outcome import guarded
    except KeyboardInterrupt:
        return INTERRUPTED
    return guarded(arguments)
