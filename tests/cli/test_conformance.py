"""The conformance statement in the docs is what this version's program says of itself."""

from pathlib import Path

from tests.cli.conftest import Run

STATEMENT = Path(__file__).parents[2] / "docs" / "conformance.md"


async def test_the_statement_in_the_docs_is_this_versions(run: Run) -> None:
    ended = await run("pacs", "conformance")
    assert ended.text == STATEMENT.read_text("utf-8"), "mdm pacs conformance > docs/conformance.md"
