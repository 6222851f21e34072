"""A browser without script, for the pages: it fills in forms by their labels and presses their buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lxml import html

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "apps"


def parse(text: str) -> Any:
    """HTML as browsers read it: without the first line break of a text area."""
    tree = html.fromstring(text)
    for area in tree.iter("textarea"):
        area.text = (area.text or "").removeprefix("\n")
    return tree


class Page:
    """One page as loaded; filling in changes what a button will send."""

    def __init__(self, client: Any, answer: httpx2.Response) -> None:
        self.client = client
        self.answer = answer
        self.status = answer.status_code
        self.address = answer.url
        self.tree = parse(answer.text or "<html></html>")
        self.files: list[tuple[str, tuple[str, bytes, str]]] = []

    @property
    def path(self) -> str:
        return self.address.path

    @property
    def title(self) -> str:
        return str(self.tree.findtext(".//title"))

    @property
    def heading(self) -> str:
        return self.text(self.tree.find(".//h1"))

    @property
    def lang(self) -> str:
        return str(self.tree.get("lang"))

    @property
    def words(self) -> str:
        return self.text(self.tree.find(".//main"))

    def text(self, element: Any) -> str:
        return " ".join(str(element.text_content()).split())

    def field(self, label: str) -> Any:
        for candidate in self.tree.iterfind(".//label"):
            if self.text(candidate).startswith(label):
                return self.tree.get_element_by_id(candidate.get("for"))
        raise AssertionError(f"no field {label!r} in {[self.text(each) for each in self.tree.iterfind('.//label')]}")

    def has(self, label: str) -> bool:
        return any(self.text(each).startswith(label) for each in self.tree.iterfind(".//label"))

    def value(self, label: str) -> Any:
        found = self.field(label)
        return found.value

    def fill(self, label: str, value: str) -> Page:
        self.field(label).value = value
        return self

    def choose(self, label: str, *, on: bool = True) -> Page:
        chosen = self.field(label)
        if chosen.get("type") == "radio":
            for other in self.tree.xpath(f"//input[@name={chosen.get('name')!r}]"):
                other.attrib.pop("checked", None)
        if on:
            chosen.set("checked", "checked")
        else:
            chosen.attrib.pop("checked", None)
        return self

    def attach(self, field_id: str, name: str, content: bytes, media: str = "application/pdf") -> Page:
        self.files.append((self.tree.get_element_by_id(field_id).get("name"), (name, content, media)))
        return self

    def errors(self) -> dict[str, str]:
        """Field id to the messages at it."""
        found = {}
        for place in self.tree.xpath("//div[contains(@class, 'hv-messages')]"):
            if self.text(place):
                found[place.get("id").removesuffix("-m")] = self.text(place)
        return found

    def summary(self) -> list[str]:
        return [self.text(each) for each in self.tree.xpath("//div[@id='hv-errors']//li")]

    def buttons(self) -> list[str]:
        return [self.text(each) or each.get("aria-label") for each in self.tree.iterfind(".//button")]

    def _button(self, name: str) -> Any:
        for button in self.tree.iterfind(".//button"):
            if name in (self.text(button), button.get("aria-label"), button.get("value")):
                return button
        raise AssertionError(f"no button {name!r} in {self.buttons()}")

    def sent(self, button: Any | None = None, **extra: str) -> tuple[str, list[tuple[str, str]], bool]:
        if button is not None and button.get("form"):
            form = self.tree.get_element_by_id(button.get("form"))
        else:
            form = next(button.iterancestors("form")) if button is not None else self.tree.get_element_by_id("hv-form")
        values = [(name, value) for name, value in form.form_values() if name]
        if button is not None and button.get("name"):
            values.append((button.get("name"), button.get("value")))
        return form.get("action"), values + list(extra.items()), form.get("enctype") == "multipart/form-data"

    async def press(self, name: str) -> Page:
        action, values, multipart = self.sent(self._button(name))
        return await self._post(action, values, multipart=multipart)

    async def _post(
        self, action: str, values: list[tuple[str, str]], *, multipart: bool, headers: dict[str, str] | None = None
    ) -> Page:
        data: dict[str, list[str]] = {}
        for key, value in values:
            data.setdefault(key, []).append(value)
        files = self.files or ([("_none", ("", b"", "application/octet-stream"))] if multipart else None)
        answer = await self.client.post(str(self.address.join(action)), data=data, files=files, headers=headers)
        return await follow(self.client, answer)

    async def type(self, *, action: str = "auto", typing: str = "") -> httpx2.Response:
        """What script sends while one types."""
        target, values, multipart = self.sent(_action=action, _typing=typing)
        page = await self._post(target, values, multipart=multipart, headers={"HX-Request": "true"})
        return page.answer

    def take(self, answer: httpx2.Response) -> dict[str, Any]:
        """Put the parts of an answer into the page, as script does; gives them by their targets."""
        assert answer.status_code == 200, answer.text
        found = {
            each.get("hx-target")[1:]: each for each in parse(f"<div>{answer.text}</div>").iterfind(".//hx-partial")
        }
        for target, part in found.items():
            old = self.tree.get_element_by_id(target)
            old.getparent().replace(old, part[0])
        return found

    async def click(self, name: str) -> Page:
        for link in self.tree.iterfind(".//a"):
            if self.text(link).startswith(name):
                return await get(self.client, str(self.address.join(link.get("href"))))
        raise AssertionError(f"no link {name!r}")


async def follow(client: Any, answer: httpx2.Response) -> Page:
    for _ in range(5):
        if answer.status_code not in (302, 303) or "/authentication/" in answer.headers["location"]:
            break
        answer = await client.get(str(answer.url.join(answer.headers["location"])))
    return Page(client, answer)


async def get(client: Any, address: str = "") -> Page:
    return await follow(client, await client.get(address))


Browse = Callable[..., Awaitable[Page]]


@pytest.fixture
def browse() -> Browse:
    """`await browse(client, address)`: a page, redirects followed."""
    return get


@pytest.fixture
def open_form(stage: Any) -> Callable[..., Awaitable[Page]]:
    """`await open_form(folder, person, party)`: the app deployed, an instance started, its first page."""

    async def opened(
        folder: Path | str, person: str = "Sindig Bjørk", party: str | None = None, **options: Any
    ) -> Page:
        app = await stage.deploy(EXAMPLES / folder if isinstance(folder, str) else folder, **options)
        client = await app.browser(person)
        client.app = app
        page = await get(client, "")
        if "party-selection" in page.path:
            number = str(app.party(party or person))
            button = next(each for each in page.tree.iterfind(".//button") if each.get("value") == number)
            action, values, _ = page.sent(button)
            page = await page._post(action, values, multipart=False)
        name = "Start" if "Start" in page.buttons() else "Start på nytt skjema"
        return await page.press(name)

    return opened
