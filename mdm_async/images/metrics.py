"""What the verbs count. Labels never carry a name, an identifier or a caller."""

from prometheus_client import Counter, Gauge

SEGMENTS_DECRYPTED = Counter(
    "mdm_segments_decrypted", "Stored segments decrypted to be served, by kind of part", ["kind"]
)
BYTES_OUT = Counter("mdm_bytes_out", "Bytes served through transfer URLs", ["delivery"])
BYTES_IN = Counter("mdm_bytes_in", "Bytes received through transfer URLs", ["delivery"])
INGESTED = Counter(
    "mdm_images_ingested", "Images stored, by the state of their de-identified view", ["basic"]
)
TRANSFERS = Gauge("mdm_transfers_running", "Transfers running now", ["direction"])
GRANTED = Counter("mdm_grants", "Transfer URLs handed out", ["operation"])
SWEPT = Counter("mdm_swept", "What the sweeper took away", ["what"])
