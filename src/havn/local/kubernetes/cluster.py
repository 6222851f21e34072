"""One local cluster: brought up component by component, and taken away without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil

from havn.local.kubernetes import components, keys, network
from havn.local.kubernetes.components import Layout
from havn.local.kubernetes.network import HOST_ADDRESS, MAX_CLUSTERS, Addresses
from havn.local.kubernetes.record import Process, Record, registry, this_process
from havn.local.kubernetes.toolchain import Toolchain

_RUNTIME = Path("/run/havn")
# Debian puts the programs where a plain user's shell does not look.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The cgroup v1 hierarchies in which the kubelet wants its root to exist.
_CGROUPS = Path("/sys/fs/cgroup")
# A socket's path has 107 bytes at most; the kubelet makes the longest, with a random number for a name.
_LONGEST = 107 - len("/kubelet/pod-resources/4294967295")


class ClusterError(Exception):
    """The cluster cannot be made or does not become ready; the message says which part and where its log is."""


class LocalKubernetes:
    """A real one-node Kubernetes on this machine: `create` it, use `kubectl` or `kubeconfig`, then `destroy` it."""

    def __init__(self, toolchain: Toolchain, layout: Layout, record: Record) -> None:
        self.toolchain = toolchain
        self.layout = layout
        self._record = record
        # Ours to reap: a child that died and was not waited for would still seem to run.
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def create(cls, name: str, folder: Path, toolchain: Toolchain, *, keep: bool = False) -> LocalKubernetes:
        """Bring a cluster up and return once its node is ready, in about five seconds.

        `folder` (new, on a disk that overlayfs can use) holds its state and logs; `name` is short, of lower-case
        letters and digits. With `keep` it outlives this process; without, `sweep` takes it away once this process is
        gone. Needs root, and Debian's containerd, runc, containernetworking-plugins, nftables and iproute2.
        Raises `ClusterError`; nothing is left behind then.
        """
        if len(os.fsencode(folder.absolute())) > _LONGEST:
            raise ClusterError(
                f"The folder {folder.absolute()} has too long a path for a cluster's sockets: choose one of at most "
                f"{_LONGEST} characters."
            )
        check_machine()
        with registry() as records:
            if name in records:
                raise ClusterError(f"There is a cluster named {name} already: remove it, or choose another name.")
            taken = {record.index for record in records.values()}
            index = next(number for number in range(1, MAX_CLUSTERS) if number not in taken)
            record = Record(name, index, folder.absolute(), None if keep else this_process())
            record.save()
        layout = Layout(name, folder.absolute(), _RUNTIME / name, Addresses(index))
        cluster = cls(toolchain, layout, record)
        try:
            cluster._start()
        except BaseException:
            cluster.destroy()
            raise
        return cluster

    @classmethod
    def find(cls, name: str, toolchain: Toolchain) -> LocalKubernetes:
        """A cluster that runs already, perhaps made by another process. Raises `ClusterError`."""
        with registry() as records:
            record = records.get(name)
        if record is None:
            raise ClusterError(f"There is no local cluster named {name}.")
        return cls(toolchain, Layout(name, record.folder, _RUNTIME / name, Addresses(record.index)), record)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it works from this machine."""
        return self.layout.kubeconfig

    @property
    def address(self) -> str:
        """The node's address, on which host ports answer from this machine and from other clusters."""
        return str(self.layout.addresses.node)

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Run kubectl as administrator; returns its standard output.

        Raises `ClusterError` with its standard error when it fails and `check` is true.
        """
        command = [str(self.toolchain.program("kube")), "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments[:3])} failed: {done.stderr.strip()}")
        return done.stdout

    def load_image(self, archive: Path) -> None:
        """Give the node the images of an OCI archive, without a registry."""
        self._ctr("images", "import", str(archive))

    def start(self, name: str, command: Sequence[str], environ: dict[str, str] | None = None) -> None:
        """Start a process in the cluster's network namespace; its output goes to `logs/<name>.log`."""
        logs = self.layout.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.layout.namespace}", "--", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": _SYSTEM_PATH, **(environ or {})},
            )  # fmt: skip
        self._children[name] = child
        self._record.processes.append(Process.of(name, child.pid))
        self._record.save()

    def stop(self, name: str, *, kill: bool = False) -> None:
        """Stop the process `name`, at once when `kill`."""
        for process in [process for process in self._record.processes if process.name == name]:
            _end(process, self._children.pop(name, None), grace=0 if kill else 3)
            self._record.processes.remove(process)
        self._record.save()

    def start_kubelet(self) -> None:
        """Start the kubelet; a test that stopped it starts it again with this."""
        self._kube("kubelet", components.kubelet(self.layout))

    def destroy(self) -> None:
        """Take everything away: processes, containers, mounts, cgroups, namespaces, links and the cluster's folder.

        Safe to call twice, and on a cluster that came up half way.
        """
        # First whatever makes pods again, then the pods while the kubelet can still clear them up, then the rest.
        for name in ("controller-manager", "scheduler"):
            self.stop(name)
        if any(process.name == "kubelet" and process.find() for process in self._record.processes):
            self.kubectl(
                "delete", "pods", "--all-namespaces", "--all", "--grace-period=1", "--timeout=20s", check=False
            )
        for name in [p.name for p in self._record.processes if p.name not in {"containerd", "etcd", "apiserver"}]:
            self.stop(name)
        self._remove_containers()
        for name in ("apiserver", "etcd"):
            self.stop(name, kill=True)
        self.stop("containerd")
        _kill_inside(self.layout)
        _unmount(self.layout)
        _remove_pod_namespaces(self.layout)
        network.remove(self.layout.namespace, self.layout.addresses)
        _remove_cgroups(self.layout)
        shutil.rmtree(self.layout.folder, ignore_errors=True)
        shutil.rmtree(self.layout.runtime, ignore_errors=True)
        self._record.forget()

    def _start(self) -> None:
        layout = self.layout
        layout.folder.mkdir(parents=True, exist_ok=True)
        layout.runtime.mkdir(parents=True, exist_ok=True)
        network.make(layout.namespace, layout.addresses)
        for hierarchy in _hierarchies():
            _make_cgroup(hierarchy / layout.cgroup)
        layout.kubeconfig.touch(mode=0o600)
        layout.kubeconfig.write_bytes(components.kubeconfig(layout, keys.make(layout.folder / "keys")))
        (layout.folder / "kubelet.json").write_bytes(components.kubelet_config(layout))
        (layout.folder / "proxy.json").write_bytes(components.proxy_config(layout))
        (layout.folder / "containerd.toml").write_text(components.containerd_config(layout))
        (layout.folder / "resolv.conf").write_text("")
        (layout.folder / "cni").mkdir()
        (layout.folder / "cni" / "10-ptp.conflist").write_bytes(components.cni_config(layout))
        self.start("containerd", ["containerd", f"--config={layout.folder}/containerd.toml"])
        self._kube("etcd", components.etcd(layout))
        self._kube("apiserver", components.apiserver(layout))
        self.wait_until("apiserver", lambda: self.kubectl("get", "--raw=/readyz", check=False) == "ok")
        self._kube("controller-manager", components.controller_manager(layout))
        self._kube("scheduler", components.scheduler(layout))
        self.wait_until("containerd", layout.containerd_socket.exists)
        self.start_kubelet()
        self._kube("proxy", [f"--config={layout.folder}/proxy.json"])
        policy = {"KUBECONFIG": str(layout.kubeconfig), "POD_CIDR": str(layout.addresses.pods)}
        self.start("netpol", [str(self.toolchain.program("kube")), "netpol"], policy)
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        self.wait_until("kubelet", lambda: self.kubectl("get", "node", "node1", "-o", ready, check=False) == "True")

    def trust_registry(self, port: int, address: str = str(HOST_ADDRESS)) -> str:
        """Let the node pull without TLS from a registry, of this machine unless said; returns its name for images."""
        name = f"{address}:{port}"
        folder = self.layout.folder / "registries" / name
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(
            f'server = "http://{name}"\n[host."http://{name}"]\n  capabilities = ["pull", "resolve"]\n'
        )
        return name

    def _kube(self, component: str, arguments: list[str]) -> None:
        self.start(component, [str(self.toolchain.program("kube")), component, *arguments])

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        command = ["ctr", f"--address={self.layout.containerd_socket}", "--namespace=k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise ClusterError(f"ctr {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
        return done.stdout

    def wait_until(self, component: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Return once a process of the cluster is `ready`. Raises `ClusterError` with its last line."""
        deadline = time.monotonic() + seconds
        while not ready():
            child = self._children.get(component)
            if (child is not None and child.poll() is not None) or time.monotonic() > deadline:
                log = self.layout.folder / "logs" / f"{component}.log"
                last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
                raise ClusterError(f"The cluster's {component} did not become ready: {' '.join(last)}")
            time.sleep(0.1)

    def _remove_containers(self) -> None:
        if not self.layout.containerd_socket.exists():
            return
        for task in self._ctr("tasks", "ls", "-q", check=False).split():
            self._ctr("tasks", "rm", "-f", task, check=False)
        for container in self._ctr("containers", "ls", "-q", check=False).split():
            self._ctr("containers", "rm", container, check=False)


class Known(msgspec.Struct, frozen=True):
    """Where a cluster of this machine is."""

    name: str
    address: str
    kubeconfig: Path


def known() -> list[Known]:
    """The clusters of this machine, by name."""
    with registry() as records:
        found = [
            Layout(record.name, record.folder, _RUNTIME / record.name, Addresses(record.index))
            for record in records.values()
        ]
    return [
        Known(each.name, str(each.addresses.node), each.kubeconfig)
        for each in sorted(found, key=lambda each: each.name)
    ]


def sweep(toolchain: Toolchain) -> list[str]:
    """Take away every cluster whose maker is gone; returns their names."""
    with registry() as records:
        orphans = [record for record in records.values() if record.owner is not None and record.owner.find() is None]
    for record in orphans:
        layout = Layout(record.name, record.folder, _RUNTIME / record.name, Addresses(record.index))
        LocalKubernetes(toolchain, layout, record).destroy()
    return [record.name for record in orphans]


def check_machine() -> None:
    """Raises `ClusterError` when no cluster can be made here, with what is lacking."""
    if os.geteuid() != 0:
        raise ClusterError("A local cluster needs root: run this with sudo, or use a cluster that you have.")
    lacking = [
        name for name in ("containerd", "runc", "nft", "ip", "nsenter") if not shutil.which(name, path=_SYSTEM_PATH)
    ]
    if lacking or not Path("/usr/lib/cni/ptp").exists():
        raise ClusterError(
            "A local cluster needs Debian's packages containerd, runc, containernetworking-plugins, nftables and "
            "iproute2: install them with apt-get."
        )


def _end(process: Process, child: subprocess.Popen[bytes] | None, grace: float) -> None:
    found = process.find()
    if found is None:
        if child is not None:
            child.wait()
        return
    found.send_signal(signal.SIGTERM if grace else signal.SIGKILL)
    try:
        if child is not None:
            child.wait(grace or 5)
        else:
            found.wait(grace or 5)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        found.kill()
        if child is not None:
            child.wait()


def _kill_inside(layout: Layout) -> None:
    """Whatever still runs in the pods' cgroups or as a containerd shim of this cluster."""
    for process in psutil.process_iter(["cmdline"]):
        if str(layout.containerd_socket) in (process.info["cmdline"] or []):
            process.kill()
    for hierarchy in _hierarchies():
        for procs in (hierarchy / layout.cgroup).rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue


def _unmount(layout: Layout) -> None:
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    ours = (f"{layout.folder}/", f"{layout.runtime}/")
    for point in reversed(points):
        if point.startswith(ours):
            network.run("umount", "-l", point, check=False)


def _remove_pod_namespaces(layout: Layout) -> None:
    # The runtime names them cni-<uuid> and forgets whose they are; each has its peer's address from our range.
    for line in network.run("ip", "netns", "list", check=False).stdout.splitlines():
        name = line.split()[0] if line.split() else ""
        if not name.startswith("cni-"):
            continue
        shown = network.run("ip", "-n", name, "-4", "-o", "addr", "show", check=False).stdout
        prefix = str(layout.addresses.pods.network_address).rsplit(".", 1)[0] + "."
        if f" {prefix}" in shown or not shown.replace("lo", "").strip():
            network.run("ip", "netns", "del", name, check=False)


def _hierarchies() -> list[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [place for place in _CGROUPS.iterdir() if place.is_dir() and not place.is_symlink()]


def _make_cgroup(place: Path) -> None:
    place.mkdir(exist_ok=True)
    # A new cpuset has no processors and no memory, and nothing can run in it, until told.
    for name in ("cpuset.cpus", "cpuset.mems"):
        ours, parent = place / name, place.parent / name
        if ours.exists() and parent.exists() and not ours.read_text().strip():
            ours.write_text(parent.read_text())


def _remove_cgroups(layout: Layout) -> None:
    deadline = time.monotonic() + 5
    for hierarchy in _hierarchies():
        place = hierarchy / layout.cgroup
        while place.exists() and time.monotonic() < deadline:
            for inner in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
                _remove_cgroup(inner)
            _remove_cgroup(place)


def _remove_cgroup(place: Path) -> None:
    try:
        place.rmdir()
    except OSError:  # a process in it is still dying; the caller tries again
        time.sleep(0.02)
