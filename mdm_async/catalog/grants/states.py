"""The states of a request's item.

A file to get is `queued`, then `staging` while it is brought online, then `pinned`; what is online already begins
there. A put is `open`, then `uploaded`, then `done`, and bringing online is `done` at once. Each may end before:
`released` or `aborted` by its caller, or `failed`.
"""

from typing import Final, Literal

State = Literal["queued", "staging", "pinned", "open", "uploaded", "done", "released", "aborted", "failed"]
WAITING: Final = ("queued", "staging")
"""Its transfer URL is known, and serves nothing yet."""
LIVE: Final = ("pinned", "open", "uploaded")
"""Its transfer URL serves."""
