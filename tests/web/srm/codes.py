"""What SRM answers say, as codes."""

from typing import Any

Tree = dict[str, Any]


RECIPIENT = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="


def code(tree: Tree) -> str:
    return str(tree["returnStatus"]["statusCode"])


def codes(tree: Tree) -> list[str]:
    return [line["status"]["statusCode"] for line in tree["files"]]
