"""What key stores count. Labels: the store's name in the settings, `catalog` for the catalog's own database."""

from prometheus_client import Counter, Gauge

NOT_OPENING = Counter(
    "mdm_keys_not_opening", "Stored secrets, or shares of them, that were read and do not open", ["store"]
)
WRONG = Counter("mdm_key_shares_wrong", "Shares that opened and are none of their secret's", ["store"])
STORE_UP = Gauge(
    "mdm_key_store_up", "1 while this node asks the store, 0 while it goes on without", ["store"]
)
FAILED = Counter(
    "mdm_key_store_failures", "Times that a store did not answer, or not in time", ["store", "how"]
)
BEHIND = Gauge("mdm_key_store_behind", "1 while the store may lack shares that others have", ["store"])
RESTORED = Counter("mdm_key_shares_restored", "Shares that a store lacked and was given again", ["store"])
