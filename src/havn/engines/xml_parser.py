"""The one parser of XML that may be hostile: no entities, no document type loaded, no network, bounded size.

A document type may still be declared: whoever parses refuses it (`docinfo.internalDTD`), in the words of the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree


def parser(*, comments: bool = False) -> etree.XMLParser:
    """A new lxml parser; with `comments` those stay in the tree, as do processing instructions."""
    # An app whose models are JSON alone never needs lxml.
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=not comments,
        remove_pis=not comments,
        collect_ids=False,
    )
