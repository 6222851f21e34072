"""The app's own secrets, as its code asks for them."""

import pytest

from havn.runtime.secrets import NoSuchSecret, Secrets


def test_a_secret_is_read_from_its_file_and_again_when_it_has_changed(tmp_path):
    secrets = Secrets(str(tmp_path))
    (tmp_path / "mail.key").write_text("one\n")
    assert secrets.get("mail.key") == "one\n"
    (tmp_path / "fresh").write_text("two")
    (tmp_path / "fresh").replace(tmp_path / "mail.key")
    assert secrets.get("mail.key") == "two"


@pytest.mark.parametrize("name", ["absent", "platform-access-key", "../outside", "", ".hidden", "folder", "a/b"])
def test_what_is_not_the_apps_secret_is_not_given_to_it(tmp_path, name):
    folder = tmp_path / "secrets"
    folder.mkdir()
    for path in (tmp_path / "outside", folder / "platform-access-key", folder / ".hidden"):
        path.write_text("x")
    (folder / "folder").mkdir()
    with pytest.raises(NoSuchSecret, match="havn secret set"):
        Secrets(str(folder)).get(name)
    with pytest.raises(NoSuchSecret):
        Secrets(None).get(name)
