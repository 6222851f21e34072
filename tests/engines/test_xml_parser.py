"""What the parser of hostile XML refuses, and leaves out."""

from __future__ import annotations

import pytest
from lxml import etree

from havn.engines.xml_parser import parser


def test_entities_are_not_resolved_from_files_nor_from_the_document(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("planted")
    for entity in (f'SYSTEM "{secret.as_uri()}"', '"planted"'):
        text = f"<!DOCTYPE a [<!ENTITY e {entity}>]><a>&e;</a>"
        root = etree.fromstring(text.encode(), parser())
        assert b"planted" not in etree.tostring(root)
        assert not root.text
        assert root.getroottree().docinfo.internalDTD is not None


def test_an_external_document_type_is_not_loaded(tmp_path):
    dtd = tmp_path / "a.dtd"
    dtd.write_text('<!ATTLIST a planted CDATA "planted">')
    root = etree.fromstring(f'<!DOCTYPE a SYSTEM "{dtd.as_uri()}"><a/>'.encode(), parser())
    assert dict(root.attrib) == {}


def test_a_tree_that_is_too_deep_is_refused():
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(b"<a>" * 1000 + b"</a>" * 1000, parser())


def test_comments_and_instructions_are_left_out_unless_wanted():
    text = b"<a><!-- one --><?two?><b/></a>"
    assert [each.tag for each in etree.fromstring(text, parser())] == ["b"]
    assert len(etree.fromstring(text, parser(comments=True))) == 3
