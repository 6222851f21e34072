"""The command lines and configuration files of a local cluster's components: values in, text out; nothing runs here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from havn.local.kubernetes.network import Addresses

PAUSE_IMAGE = "havn.local/pause:1"


class Layout(msgspec.Struct, frozen=True):
    """Where one cluster keeps what. `folder` holds state and logs; `runtime` (short, for sockets) lies under /run."""

    name: str
    folder: Path
    runtime: Path
    addresses: Addresses

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where this cluster's containerd answers."""
        return self.runtime / "containerd.sock"

    @property
    def namespace(self) -> str:
        """The network namespace."""
        return f"havn-{self.name}"

    @property
    def cgroup(self) -> str:
        """The cgroup under which this cluster's pods live."""
        return f"havn-{self.name}"


def etcd(layout: Layout) -> list[str]:
    """Etcd's arguments: on the namespace's own loopback, without fsync since nothing here outlives a test for long."""
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        f"--data-dir={layout.folder}/etcd", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
    ]  # fmt: skip


def apiserver(layout: Layout) -> list[str]:
    """The API server's arguments. It advertises the node's address: a loopback one would leave `kubernetes` empty."""
    keys = layout.folder / "keys"
    return [
        "--etcd-servers=http://127.0.0.1:2379", f"--bind-address={layout.addresses.node}",
        f"--advertise-address={layout.addresses.node}", "--secure-port=6443", f"--cert-dir={layout.folder}/apiserver",
        f"--token-auth-file={keys}/tokens.csv", "--authorization-mode=Node,RBAC", "--anonymous-auth=true",
        "--allow-privileged=true", f"--service-cluster-ip-range={layout.addresses.services}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/service-accounts.key",
        f"--service-account-signing-key-file={keys}/service-accounts.key",
        "--kubelet-preferred-address-types=InternalIP",
        # For metrics-server, which the API server reaches as an aggregated API: at its pod, since without a default
        # route there is no way to a Service's address from the node itself.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={keys}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys}/front-proxy.crt", f"--proxy-client-key-file={keys}/front-proxy.key",
    ]  # fmt: skip


def controller_manager(layout: Layout) -> list[str]:
    """The controller manager's arguments; the autoscaler looks every five seconds, so that a test need not wait."""
    kubeconfig = layout.kubeconfig
    return [
        f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false",
        "--use-service-account-credentials=false",
        f"--service-account-private-key-file={layout.folder}/keys/service-accounts.key",
        f"--root-ca-file={layout.folder}/apiserver/apiserver.crt", f"--cluster-cidr={layout.addresses.pods}",
        f"--service-cluster-ip-range={layout.addresses.services}", "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
        "--node-monitor-grace-period=20s",
    ]  # fmt: skip


def scheduler(layout: Layout) -> list[str]:
    """The scheduler's arguments."""
    kubeconfig = layout.kubeconfig
    return [
        f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false",
    ]  # fmt: skip


def kubelet(layout: Layout) -> list[str]:
    """The kubelet's arguments."""
    return [
        f"--config={layout.folder}/kubelet.json", f"--kubeconfig={layout.kubeconfig}",
        f"--node-ip={layout.addresses.node}", "--hostname-override=node1", f"--root-dir={layout.folder}/kubelet",
        f"--cert-dir={layout.folder}/kubelet-pki",
    ]  # fmt: skip


def kubelet_config(layout: Layout) -> bytes:
    """The kubelet's configuration file. Eviction is all but off: the machine's disk is shared with everything else."""
    return msgspec.json.encode(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(layout.addresses.node),
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            # Several kubelets on one machine: each kills the pods that it finds in its cgroup and does not know.
            "cgroupRoot": f"/{layout.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "clusterDNS": [str(layout.addresses.dns)],
            "clusterDomain": "cluster.local",
            "resolvConf": f"{layout.folder}/resolv.conf",
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%",
                             "nodefs.inodesFree": "1%"},
            "nodeStatusUpdateFrequency": "4s",
            "syncFrequency": "10s",
            "volumePluginDir": f"{layout.folder}/volume-plugins",
            "podLogsDir": f"{layout.folder}/pod-logs",
        }
    )  # fmt: skip


def proxy_config(layout: Layout) -> bytes:
    """kube-proxy's configuration file; the kernel's connection tracking limits are left alone."""
    return msgspec.json.encode(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(layout.kubeconfig)},
            "clusterCIDR": str(layout.addresses.pods),
            "hostnameOverride": "node1",
            "nodePortAddresses": [f"{layout.addresses.node}/32"],
            "oomScoreAdj": 0,
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }
    )


def containerd_config(layout: Layout) -> str:
    """Containerd's configuration: overlayfs, its own root, state and socket, registries of this machine over HTTP."""
    return f"""
version = 2
root = "{layout.folder}/containerd"
state = "{layout.runtime}/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{layout.containerd_socket}"
[ttrpc]
  address = "{layout.containerd_socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.folder}/cni"
"""


def cni_config(layout: Layout) -> bytes:
    """Point-to-point links, not a bridge, so that traffic between pods is routed and thereby filtered."""
    ranges = [[{"subnet": str(layout.addresses.pods)}]]
    ipam = {
        "type": "host-local",
        "ranges": ranges,
        "dataDir": f"{layout.runtime}/ipam",
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return msgspec.json.encode(
        {
            "cniVersion": "1.0.0",
            "name": layout.namespace,
            "plugins": [
                {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": ipam},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
    )


def kubeconfig(layout: Layout, token: str) -> bytes:
    """A kubeconfig for the administrator's token, in JSON, which is YAML too."""
    server = {
        "server": f"https://{layout.addresses.node}:6443",
        "certificate-authority": f"{layout.folder}/apiserver/apiserver.crt",
    }
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": layout.name,
            "clusters": [{"name": layout.name, "cluster": server}],
            "contexts": [{"name": layout.name, "context": {"cluster": layout.name, "user": "admin"}}],
            "users": [{"name": "admin", "user": {"token": token}}],
        }
    )
