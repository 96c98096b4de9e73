"""The page about limits is whole."""

from pathlib import Path

from mdm_async.settings import LimitSettings

_PAGE = Path(__file__).parent.parent / "docs" / "limits.md"


def test_each_limit_is_on_the_page() -> None:
    page = _PAGE.read_text()
    missing = [name for name in LimitSettings.model_fields if f"`limits.{name}`" not in page]
    assert missing == []
