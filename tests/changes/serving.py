"""A world's API server in a thread of this process, for appliers that run in processes of their own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from evals.servers.kube.server import KubeServer
from evals.world.model import World

T = TypeVar("T")


@dataclass(slots=True)
class Site:
    """The server, its kubeconfig, and the loop it lives in."""

    kube: KubeServer
    kubeconfig: Path
    loop: asyncio.AbstractEventLoop

    def there(self, work: Callable[[], T]) -> T:
        """Do something with the server's own data, in its own thread."""

        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def served(world: World, folder: Path) -> Iterator[Site]:
    """Serve a world until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    kube = KubeServer(world)
    asyncio.run_coroutine_threadsafe(kube.start(), loop).result(10)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(kube.kubeconfig()))
    try:
        yield Site(kube, kubeconfig, loop)
    finally:
        asyncio.run_coroutine_threadsafe(kube.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
