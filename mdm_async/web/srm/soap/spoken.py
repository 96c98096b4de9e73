"""What the fields of SOAP mean: for each operation of SRM v2.2 that is served, its form and its answer.

To add an operation: have it in `web.srm.operations` (JSON gets it so), write two functions in one of `names`,
`requests`, `rights`, `spaces` and `transfers`, and name them there under the standard's name.

- `form` makes of the request's fields those of the operation's form in `web.srm.forms`. What it is given is a plain
  tree: names as in `tables/types.csv`, structures as dicts, every `ArrayOf…` a plain list without its wrapping, numbers
  and booleans as such, enumerations already checked, text as its user typed it, and nothing where a field was absent or
  nil. The form itself is checked by pydantic afterwards: bounds, lengths and how many files are no business of `form`.
- `told` makes of the operation's typed result the fields of its response beside `returnStatus`, in the same plain
  shape; what is None is left out, a `datetime` is written in UTC. A field that the tables do not have is a ValueError,
  so tests find it. Both are pure: no request, no await.

An operation of the tables without a line here answers SRM_NOT_SUPPORTED in its right shape.
"""

from typing import Final

from mdm_async.web.srm.soap import names, requests, rights, spaces, transfers
from mdm_async.web.srm.soap.shapes import Spoken

SPOKEN: Final[dict[str, Spoken]] = (
    names.SPOKEN | rights.SPOKEN | spaces.SPOKEN | transfers.SPOKEN | requests.SPOKEN
)
"""By the standard's name."""
