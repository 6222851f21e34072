"""Command lines and configuration of a local cluster: values in, text out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from havn.local.kubernetes import components
from havn.local.kubernetes.components import Layout
from havn.local.kubernetes.network import MAX_CLUSTERS, Addresses


def layout(index: int) -> Layout:
    return Layout(f"c{index}", Path(f"/var/c{index}"), Path(f"/run/havn/c{index}"), Addresses(index))


def test_no_two_clusters_share_an_address_or_a_range():
    every = [Addresses(index) for index in range(1, MAX_CLUSTERS)]
    for kind in ("node", "pods", "services", "dns"):
        assert len({getattr(addresses, kind) for addresses in every}) == len(every)
    assert not any(one.pods.overlaps(other.services) for one in every for other in every)


def test_pods_live_in_a_cgroup_and_a_containerd_of_their_own():
    config = msgspec.json.decode(components.kubelet_config(layout(3)))
    assert (config["cgroupRoot"], config["containerRuntimeEndpoint"]) == (
        "/havn-c3",
        "unix:///run/havn/c3/containerd.sock",
    )
    assert 'root = "/var/c3/containerd"' in components.containerd_config(layout(3))


def test_the_api_server_never_advertises_loopback():
    arguments = components.apiserver(layout(2))
    assert "--advertise-address=10.199.2.2" in arguments


@pytest.mark.parametrize("config", [components.kubelet_config, components.proxy_config, components.cni_config])
def test_configuration_files_are_json(config):
    assert isinstance(msgspec.json.decode(config(layout(1))), dict)
