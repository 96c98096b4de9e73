"""What key stores count. Labels: the store's name in the settings, `catalog` for the catalog's own database."""

from prometheus_client import Counter

NOT_OPENING = Counter(
    "mdm_keys_not_opening", "Stored secrets, or shares of them, that were read and do not open", ["store"]
)
