"""A request's files by any spelling of their names."""

import pytest

from mdm_async.images.transfers import spellings
from mdm_async.images.transfers.spellings import as_asked


def test_a_file_is_found_by_another_spelling_in_all_that_the_request_keeps() -> None:
    kept = ["/a/b", "//a/./b", "/c", "srm://host/srm/managerv2?SFN=/a/b"]
    assert as_asked(kept, ["/a//b", "/d"]) == {"/a/b", "//a/./b", "srm://host/srm/managerv2?SFN=/a/b"}


def test_where_all_is_named_as_it_was_kept_nothing_else_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of ten thousand files is often ended one by one, on the event loop."""
    looked_at: list[str] = []
    monkeypatch.setattr(spellings, "_file", looked_at.append)
    assert as_asked([f"/{n}" for n in range(10_000)], ["/7"]) == {"/7"}
    assert looked_at == []
