"""Reading the files of a folder that somebody else made: bounded, inside the folder, and never crashing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from havn.appfolder.findings import Finding, Severity
from havn.appfolder.ids import AppId
from havn.appfolder.jsonc import Document, JsonError, PathStep

MAX_FILE = 5 * 1024 * 1024
MAX_TOTAL = 64 * 1024 * 1024
MAX_FILES = 5_000

_PLACEHOLDER = re.compile(r"\[(ORG|org|APP|app)\]")


class Files:
    """The files of one app folder. Paths are below `root`, with `/`; findings about reading collect in `findings`."""

    def __init__(self, path: Path, *, as_: AppId | None = None) -> None:
        self.as_ = as_
        self.app_id = as_
        """What placeholders are filled with: the name given, else, once it was read, that of the metadata."""
        self.findings: list[Finding] = []
        self.placeholders: list[tuple[str, int, int]] = []
        """Where `[ORG]` or `[APP]` stood: file, line, column."""
        self._read = 0
        self._documents: dict[str, Document | None] = {}
        inside = path / "App"
        if inside.is_dir() and not (path / "config").is_dir():
            self.root, self.app = path, "App/"
        elif path.name == "App" and (path.parent / "deployment").is_dir():
            self.root, self.app = path.parent, "App/"
        else:
            self.root, self.app = path, ""

    @property
    def app_folder(self) -> Path:
        """The folder that holds `config/`, `ui/` and the rest."""
        return self.root / self.app if self.app else self.root

    def report(
        self, severity: Severity, code: str, message: str, file: str = "", at: tuple[int, int] = (0, 0), hint: str = ""
    ) -> None:
        """Note a finding."""
        self.findings.append(
            Finding(severity=severity, code=code, message=message, file=file, line=at[0], column=at[1], hint=hint)
        )

    def exists(self, file: str) -> bool:
        """Whether there is such a file."""
        return self._inside(file) is not None and (self.root / file).is_file()

    def names(self, folder: str, suffix: str = "") -> list[str]:
        """The names of the files directly in `folder` that end in `suffix`, sorted; hidden ones left out."""
        return [name for name, is_folder in self._entries(folder) if not is_folder and name.endswith(suffix)]

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in `folder`, sorted; hidden ones left out."""
        return [name for name, is_folder in self._entries(folder) if is_folder]

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        if self._inside(folder) is None:
            return []
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(entry.name, entry.is_dir()) for entry, _ in zip(entries, range(MAX_FILES), strict=False)]
        except OSError:
            return []
        return sorted((name, is_folder) for name, is_folder in found if not name.startswith(".") and _printable(name))

    def bytes(self, file: str) -> bytes | None:
        """The content; None (and a finding, when the file is there but cannot be used) otherwise."""
        path = self._inside(file)
        if path is None:
            return None
        try:
            # Opened first and looked at then, so that nothing can be swapped in between; a pipe does not block.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self.report("error", "file.unreadable", f"The file cannot be read: {error.strerror}.", file)
            return None
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > MAX_FILE:
                size = status.st_size / 1024 / 1024
                self.report(
                    "error",
                    "file.too-large",
                    f"The file is {size:.1f} MiB; at most {MAX_FILE // 1024 // 1024} MiB is read.",
                    file,
                )
                return None
            content = stream.read(MAX_FILE + 1)[:MAX_FILE]
        self._read += len(content)
        if self._read > MAX_TOTAL:
            self.report("error", "folder.too-large", f"The files are more than {MAX_TOTAL // 1024 // 1024} MiB in all.")
            return None
        return content

    def text(self, file: str) -> str | None:
        """The content as UTF-8, without byte order mark, placeholders replaced."""
        content = self.bytes(file)
        if content is None:
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
            self.report(
                "error",
                "file.encoding",
                "The file is not UTF-8.",
                file,
                (line, column),
                "Save the file as UTF-8.",
            )
            return None
        return self._fill(text, file)

    def _fill(self, text: str, file: str) -> str:
        if "[" not in text or not file.endswith((".json", ".xml", ".bpmn", ".yaml", ".yml")):
            return text
        own = (f"{self.app}{part}" for part in ("config/", "deployment/", "appsettings"))
        in_config = file.startswith(("deployment/", *own))
        if not in_config:
            return text
        for match in _PLACEHOLDER.finditer(text) if self.app_id is None else ():
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
            self.placeholders.append((file, line, column))
        if self.app_id is None:
            return text
        app_id = self.app_id
        return _PLACEHOLDER.sub(lambda match: app_id.org if match[1].lower() == "org" else app_id.app, text)

    def json(self, file: str) -> Document | None:
        """The decoded file; None when it is not there, or not JSON (then with a finding)."""
        if file not in self._documents:
            self._documents[file] = self._json(file)
        return self._documents[file]

    def _json(self, file: str) -> Document | None:
        text = self.text(file)
        if text is None:
            return None
        try:
            return Document(file, text)
        except JsonError as error:
            message = str(error)
            self.report(
                "error",
                "json.syntax",
                f"The file is not JSON: {message}.",
                file,
                (error.line, error.column),
            )
            return None

    def documents(self) -> Iterable[Document]:
        """Every JSON file that was read."""
        return (document for document in self._documents.values() if document is not None)

    def _inside(self, file: str) -> Path | None:
        """The real path of a file, when it is inside the folder and no link leads out."""
        try:
            root = self.root.resolve(strict=True)
            path = (self.root / file).resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        if not path.is_relative_to(root):
            self.report(
                "error",
                "file.outside",
                "The file is a link that leads out of the folder, so it is not read.",
                file,
                hint="Put the file itself into the folder.",
            )
            return None
        return path


def _printable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def place(document: Document, path: tuple[PathStep, ...]) -> tuple[int, int]:
    """Line and column of the value at `path`."""
    return document.place(*path)


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
