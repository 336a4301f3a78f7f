"""The table of policies says what the code says."""

from dlmreason import launch, policy_catalogue
from dlmreason.policy_catalogue import HEAD, rows, table


def test_the_page_is_made_from_the_code() -> None:
    page = launch.conf_folder().parent / "docs" / "policies.md"
    assert page.read_text(encoding="utf-8") == table(), "run: make policies > docs/policies.md"


def test_every_policy_has_a_line_with_its_source() -> None:
    found = {row.policy: row for row in rows()}
    assert found.keys() == {path.stem for path in (launch.conf_folder() / "policy").glob("*.yaml")}
    assert all(row.about and row.source for row in found.values()), "the head of its file names a paper, or us"
    assert found["ancestral"].revises == "no" and found["ancestral"].calls == "one an event"
    assert found["change_of_mind"].needs == "masks, quality head" and found["change_of_mind"].anytime == "yes"
    assert "schedule" in found["remdm_cap"].needs and found["remdm_cap"].anytime == "no"
    assert found["first_hitting"].deviation.startswith("the hitting times") and "arXiv" in found["p2"].source


def test_it_is_printed(capsys) -> None:  # type: ignore[no-untyped-def]
    assert policy_catalogue.main() == 0
    assert capsys.readouterr().out.startswith(HEAD)
