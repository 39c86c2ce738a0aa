"""The generated fleet: as large as asked, consistent, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest

from evals.promql.engine import Engine
from evals.servers.kube.server import KubeServer
from evals.world.generate import big_fleet
from evals.world.model import World
from tools.types import JsonObject


@pytest.fixture(scope="module")
def small() -> World:
    return big_fleet(nodes=20, gpus_per_node=8, pods=200, seed=3)


def test_it_is_as_large_as_asked(small: World) -> None:
    counts = Counter(str(body["kind"]) for body in small.objects)
    assert (counts["Node"], counts["Pod"]) == (20, 200)
    result = Engine(small.series).instant("count(DCGM_FI_PROF_GR_ENGINE_ACTIVE)", small.clock.now)
    assert result.series[0][1][0][1] == 160


def test_no_node_gives_more_gpus_than_it_has(small: World) -> None:
    query = 'max(sum by (node) (kube_pod_container_resource_requests{resource="nvidia_com_gpu"}))'
    result = Engine(small.series).instant(query, small.clock.now)
    assert 0 < result.series[0][1][0][1] <= 8


def test_several_teams_and_namespaces_share_it(small: World) -> None:
    places = {str(cast(JsonObject, body["metadata"])["namespace"]) for body in small.objects if body["kind"] == "Pod"}
    assert len(places) > 4


def test_the_cluster_server_accepts_it(small: World) -> None:
    KubeServer(small)


def test_the_seed_decides_everything(small: World) -> None:
    assert big_fleet(nodes=20, gpus_per_node=8, pods=200, seed=3).objects == small.objects
    assert big_fleet(nodes=20, gpus_per_node=8, pods=200, seed=4).objects != small.objects


@pytest.mark.prove
def test_the_full_size_is_made() -> None:
    counts = Counter(str(body["kind"]) for body in big_fleet().objects)
    assert (counts["Node"], counts["Pod"]) == (1000, 10_000)
