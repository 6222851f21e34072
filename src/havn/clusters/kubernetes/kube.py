"""Talking to a Kubernetes API server: typed reads, small writes, and every failure a sentence."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import httpx_ws
import kr8s
import msgspec
from kr8s.asyncio import Api

from havn.clusters.kubernetes.objects import Listing
from havn.clusters.port import ClusterError

T = TypeVar("T")
# Short to connect: a server that is away is known to be, and whoever waits behind it goes on.
_CONNECT_SECONDS = 5.0
_TIMEOUT = httpx.Timeout(15.0, connect=_CONNECT_SECONDS)
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
# As Python tells of OpenSSL's errors.
_SSL = re.compile(r"\[SSL: [A-Z_]+\] (?P<text>(?:certificate verify failed: (?P<reason>.*?)|.*?)) \(_ssl\.c:\d+\)")


class Absent(ClusterError):
    """The cluster has no such object."""


class Kube:
    """One cluster's API, as the user of a kubeconfig, in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._api: Api | None = None

    async def get(self, version: str, kind: str, name: str, type_: type[T]) -> T:
        """One object. Raises `Absent`, `ClusterError`."""
        return _decode(await self._call("GET", version, f"{kind}/{name}"), type_)

    async def find(self, version: str, kind: str, name: str, type_: type[T]) -> T | None:
        """One object, or None."""
        try:
            return await self.get(version, kind, name, type_)
        except Absent:
            return None

    async def list(
        self,
        version: str,
        kind: str,
        type_: type[T],
        *,
        labels: Mapping[str, str] | None = None,
        beside: str = "",
        fields: str = "",
    ) -> list[T]:
        """The objects of a kind that have all these labels, meet the selector `beside`, and have these fields."""
        selectors = [f"{name}={value}" for name, value in (labels or {}).items()]
        params = {"labelSelector": ",".join([*selectors, beside] if beside else selectors)}
        if fields:
            params["fieldSelector"] = fields
        answer = await self._call("GET", version, kind, params=params)
        return _decode(answer, Listing[type_]).items  # type: ignore[valid-type]

    async def create(self, version: str, kind: str, body: Mapping[str, Any]) -> None:
        """Make an object."""
        await self._call("POST", version, kind, content=msgspec.json.encode(body))

    async def merge(self, version: str, path: str, body: Mapping[str, Any]) -> None:
        """Change some fields of an object, or of its subresource `name/scale`. Raises `Absent`."""
        await self._call("PATCH", version, path, content=msgspec.json.encode(body), headers={"content-type": _MERGE})

    async def own(self, version: str, path: str, body: Mapping[str, Any]) -> None:
        """Make fields of an object ours as well, so that they stay when whoever else set them no longer does."""
        await self._call(
            "PATCH", version, path, content=msgspec.json.encode(body), headers={"content-type": _APPLY},
            params={"fieldManager": "havn", "force": "true"},
        )  # fmt: skip

    async def delete(self, version: str, kind: str, name: str) -> None:
        """Delete an object; nothing happens when it is not there."""
        try:
            await self._call("DELETE", version, f"{kind}/{name}")
        except Absent:
            return

    async def read(self, path: str, type_: type[T]) -> T:
        """What the server answers at an absolute path, such as `/version`. Raises `Absent`, `ClusterError`."""
        return _decode((await self.answer("GET", path)).content, type_)

    async def post(self, path: str, body: Mapping[str, Any], type_: type[T]) -> T:
        """What the server answers to a question that is asked by POST at an absolute path."""
        return _decode((await self.answer("POST", path, content=msgspec.json.encode(body))).content, type_)

    async def answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The server's whole answer at an absolute path, its header fields too."""
        base, _, last = path.rpartition("/")
        base, last = (base, last) if base else (path, "")
        async with (
            self._speak() as api,
            api.call_api(method, "", base, url=last, timeout=_TIMEOUT, **options) as answer,
        ):  # fmt: skip
            return answer

    async def log(self, pod: str, **params: str) -> AsyncGenerator[str, None]:
        """The lines of a pod's log (API parameters of `pods/log`), until it ends. Raises `Absent`."""
        async with self._speak() as api:
            request = api.call_api(
                "GET", "v1", namespace=self.namespace, url=f"pods/{pod}/log", params=params, stream=True,
                timeout=httpx.Timeout(15.0, connect=_CONNECT_SECONDS, read=None),
            )  # fmt: skip
            async with request as answer:
                async for line in answer.aiter_lines():
                    yield line

    async def execute(
        self, pod: str, container: str, command: Sequence[str], take: Callable[[int, bytes], Awaitable[bool]]
    ) -> None:
        """Hand what a command in a pod sends to `take`, each piece with its channel, until that says False.

        Raises `Absent`, and `ClusterError` when the connection ends before.
        """
        params = [("container", container), ("stdout", "true"), ("stderr", "true")]
        params += [("command", each) for each in command]
        lost = "it was closed"
        async with self._speak() as api:
            try:
                # What is raised inside comes out in a group, so nothing is; nor is this a generator, whose end is an
                # exception too.
                async with api.open_websocket(
                    version="v1", namespace=self.namespace, url=f"pods/{pod}/exec", params=params,
                    subprotocols=["v4.channel.k8s.io"],
                ) as socket:  # fmt: skip
                    try:
                        while True:
                            message = await socket.receive_bytes()
                            if message and not await take(message[0], message[1:]):
                                return
                    except httpx_ws.WebSocketDisconnect:
                        pass
                    except httpx_ws.HTTPXWSException as error:
                        lost = type(error).__name__
            except httpx_ws.WebSocketUpgradeError as error:
                answer = error.response
                if answer.status_code == 404:
                    raise Absent(f"There is no pod {pod}.") from None
                raise ClusterError(f"The cluster does not run the command: it answered {answer.status_code}.") from None
            except httpx_ws.HTTPXWSException as error:
                lost = type(error).__name__
            except ExceptionGroup as group:
                # From the library's own tasks, such as the one that reads.
                lost = type(group.exceptions[0]).__name__
        raise ClusterError(f"The connection to {pod} was lost before the command had ended: {lost}.")

    async def close(self) -> None:
        """Close the connections."""
        # The library leaves them to the garbage collector.
        session = self._api._session if self._api is not None else None  # noqa: SLF001
        self._api = None
        if session is not None:
            await session.aclose()

    async def _call(self, method: str, version: str, url: str, **options: Any) -> bytes:
        async with (
            self._speak() as api,
            api.call_api(
                method, version, namespace=self.namespace, url=url, timeout=_TIMEOUT, **options
            ) as answer,
        ):  # fmt: skip
            content: bytes = answer.content
        return content

    @asynccontextmanager
    async def _speak(self) -> AsyncIterator[Api]:
        """The connection; what goes wrong with it becomes a `ClusterError`."""
        try:
            if self._api is None:
                # Not by the library's own factory, which keeps one for equal arguments, and asks for the server's
                # version first to warn of those it does not know: only long-standing parts of the API are used here.
                api = Api(bypass_factory=True, kubeconfig=str(self.kubeconfig), namespace=self.namespace)
                await api.auth
                self._api = api
            yield self._api
        except kr8s.ServerError as error:
            status = error.response.status_code if error.response is not None else 0
            if status == 404:
                raise Absent(str(error)) from None
            if status == 401:
                raise ClusterError(
                    "The cluster does not let us in: its credentials are wrong or have ended, so give it new ones with "
                    "`havn cluster add`."
                ) from None
            if status == 403:
                raise ClusterError(f"The cluster does not let us do that: {_ended(error)}") from None
            if status >= 500:
                raise ClusterError(f"The cluster's API server answered with status {status}.") from None
            raise ClusterError(f"The cluster's API server answered: {_ended(error)}") from None
        except kr8s.NotFoundError as error:
            raise Absent(str(error)) from None
        except (kr8s.APITimeoutError, httpx.HTTPError, OSError) as error:
            raise ClusterError(_unreached(error)) from None
        except (KeyError, ValueError, TypeError) as error:
            if self._api is not None:
                raise
            raise ClusterError(f"The kubeconfig {self.kubeconfig.name} cannot be used: {error}.") from None


def _unreached(error: Exception) -> str:
    """The sentence for a server with which no connection comes about."""
    said = _SSL.fullmatch(str(error))
    if said is None:
        # The number of an error says nothing to a reader that its text does not.
        return f"The cluster's API server cannot be reached: {_NUMBER.sub('', str(error)) or type(error).__name__}."
    if said["reason"]:
        return (
            f"The cluster's API server is not trusted: {said['reason'].rstrip('.')}. Give the authority of its "
            "certificate, and an address that this is made out to, with `havn cluster add`."
        )
    return f"What answers at the API server's address does not speak TLS: {said['text']}."


def _ended(error: Exception) -> str:
    """What it says, as the end of a sentence."""
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _decode(data: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.MsgspecError as error:
        raise ClusterError(f"The cluster's API server answered something unexpected: {error}.") from None
