"""A real Prometheus that holds a world's samples: the oracle of our evaluation, and `--prometheus-bin`.

Rules: it listens on loopback, has its own data directory and no admin API; it is started at start-up and ended
with its owner; retention keeps whatever the world's date is; waiting is bounded.
"""

from __future__ import annotations

import shutil
import socket
import subprocess  # noqa: TID251  the metrics server a user asks for by --prometheus-bin, started once
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType

from evals.promql.model import Semantics
from evals.servers.prom.openmetrics import MAX_SAMPLES, check_size, write_openmetrics
from evals.world.model import World
from tools.errors import TargetError, UserError

IMPORT_SECONDS = 300.0
"""Longest that promtool may take for one block; 1.7 M samples take about ten seconds on two cores."""
BLOCK_SECONDS = 7200.0
"""Length of a block that promtool makes."""
MAX_BLOCKS = 6
"""Blocks from which on they get longer: each is a start of promtool and an open block of the server."""
READY_SECONDS = 30.0
ATTEMPTS = 3
"""Starts, each on another port: a free port may be taken before Prometheus binds it."""


class RealPrometheus:
    """Serves `world`'s last `history` seconds from a Prometheus binary. Use as a context manager, or start and stop.

    `promtool` defaults to the one beside `binary`. Which semantics hold is the binary's own affair.
    """

    def __init__(
        self,
        world: World,
        *,
        binary: str | None = None,
        promtool: str | None = None,
        history: float = 6 * 3600.0,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        self.world, self.history, self.max_samples = world, history, max_samples
        self.url = ""
        self.samples = 0
        """Samples given to it; known once started."""
        self._binary = _executable(binary or "prometheus", "--prometheus-bin")
        beside = Path(self._binary).with_name("promtool")
        self._promtool = _executable(promtool or (str(beside) if beside.exists() else "promtool"), "--prometheus-bin")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealPrometheus:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Write, import and serve; returns the base URL. Raises UserError or TargetError in one line."""
        self._folder = tempfile.TemporaryDirectory(prefix="plumbline-prometheus-")
        self.samples = 0
        try:
            self._import(Path(self._folder.name))
            for attempt in range(ATTEMPTS):
                if self._serve(Path(self._folder.name), last=attempt == ATTEMPTS - 1):
                    return self.url
            raise TargetError(f"{self._binary} found no free port in {ATTEMPTS} attempts")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process and remove its data; may be called at any time, any number of times."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _import(self, folder: Path) -> None:
        """Give it the samples, block by block: promtool reads its whole input once for each block it makes."""
        source, interval, end = self.world.series, self.world.sample_interval, self.world.clock.now
        start = end - self.history
        check_size(source, start=start, end=end, interval=interval, limit=self.max_samples)
        text, data = folder / "samples.txt", folder / "data"
        data.mkdir()
        length = BLOCK_SECONDS
        while self.history / length > MAX_BLOCKS:
            length *= 3  # the lengths that Prometheus makes blocks of
        while start <= end:
            # Sample times are whole milliseconds, and a block's end belongs to the next one.
            following = (start // length + 1) * length
            last = min(end, following - 0.001)
            left = self.max_samples - self.samples
            with text.open("w", encoding="utf-8") as out:
                written = write_openmetrics(source, out, start=start, end=last, interval=interval, limit=left)
            if written:
                longest = f"--max-block-duration={length:.0f}s"
                _run([self._promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", longest, str(text), str(data)])
            self.samples += written
            start = following
        text.unlink(missing_ok=True)

    def _serve(self, folder: Path, *, last: bool) -> bool:
        """True once it answers; False when it ended at once and another port may help."""
        config, log = folder / "prometheus.yml", folder / "log"
        config.write_text("global: {}\n", encoding="utf-8")
        port = _free_port()
        arguments = [
            self._binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if last:
                    raise TargetError(f"{self._binary} ended at once: {_tail(log)}")
                return False
            if _ready(port):
                return True
            time.sleep(0.02)
        raise TargetError(f"{self._binary} was not ready within {READY_SECONDS:.0f} s: {_tail(log)}")


def available() -> bool:
    """True when `prometheus` and `promtool` are on the path."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def semantics(binary: str = "prometheus") -> Semantics:
    """Which edges range windows have in this binary. Raises UserError where it cannot be run."""
    told = _run([_executable(binary, "--prometheus-bin"), "--version"])
    return "2.x" if "version 2." in told else "3.x"


def _executable(name: str, flag: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(
            f"no program {name!r} to run", hint=f"give {flag} the path of a Prometheus with promtool beside it"
        )
    return found


def _run(arguments: list[str]) -> str:
    """What it said. Raises TargetError."""
    try:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=IMPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TargetError(
            f"{arguments[0]} took more than {IMPORT_SECONDS:.0f} s", hint="use a shorter --history"
        ) from None
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TargetError(f"{arguments[0]} failed: {text[-1] if text else f'exit code {done.returncode}'}")
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
