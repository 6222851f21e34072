"""The catalogue: which Apis there are to use, at which address, on which plans."""

from __future__ import annotations

from havn.contracts.management import PLATFORM, Api, CatalogueApi
from havn.kit.clock import Clock
from havn.platform.management.apis import is_being_left
from havn.platform.management.owners import Owners
from havn.platform.management.store import Database, apis

_LONGEST_SEARCH = 100


class Catalogue:
    """Reads what is published; `scheme` and `domain` make the addresses."""

    def __init__(self, database: Database, owners: Owners, clock: Clock, *, scheme: str, domain: str) -> None:
        self._db = database
        self._clock = clock
        self._owners = owners
        self._scheme = scheme
        self._domain = domain

    async def search(self, words: str = "", org: str | None = None) -> list[CatalogueApi]:
        """Every Api in which all of `words` occur, in any language and case; of one owner when `org` is given."""
        wanted = words[:_LONGEST_SEARCH].casefold().split()
        found = [
            CatalogueApi(
                api=api,
                org_name=self._owners.name(api.org),
                plans=() if is_being_left(api, self._clock()) else tuple(plans),
                url=self.address(api),
                openapi=self.openapi(api) or "",
            )
            for api, plans in await apis.published(self._db)
            if org is None or api.org == org
        ]
        return [each for each in found if all(word in _text(each) for word in wanted)]

    async def find(self, id_: str) -> CatalogueApi | None:
        """One Api that is not a draft, with every plan that can be asked for; also one that is retired."""
        api = await apis.find(self._db, id_)
        if api is None or api.state == "draft":
            return None
        plans = tuple(plan for plan in await apis.plans_of(self._db, id_) if plan.state == "open")
        return CatalogueApi(
            api=api,
            org_name=self._owners.name(api.org),
            plans=() if is_being_left(api, self._clock()) else plans,
            url=self.address(api),
            openapi=self.openapi(api) or "",
        )

    async def versions(self, api: Api) -> list[Api]:
        """The other versions of an Api that are to be seen."""
        found = await apis.managed_apis(self._db, api.org, api.app)
        return [each for each in found if each.name == api.name and each.id != api.id and each.state != "retired"]

    def address(self, api: Api) -> str:
        """The address that the Api's paths lie below."""
        host = f"platform.{self._domain}" if api.org == PLATFORM else f"{api.org}.apps.{self._domain}"
        return f"{self._scheme}://{host}/{api.app}"

    def openapi(self, api: Api) -> str | None:
        """Where the app's own description of itself is; platform APIs have none."""
        return None if api.org == PLATFORM else f"{self.address(api)}/v1/customOpenapi.json"


def _text(entry: CatalogueApi) -> str:
    api = entry.api
    parts = [
        api.org, api.app, api.name, api.version, api.title.nb, api.title.nn, api.title.en, api.description.nb,
        api.description.nn, api.description.en, entry.org_name.nb, entry.org_name.nn, entry.org_name.en,
    ]  # fmt: skip
    return " ".join(parts).casefold()
