"""What the verbs count. Labels never carry a name, an identifier or a caller."""

from prometheus_client import Counter, Gauge

_SEGMENTS_DECRYPTED = Counter(
    "mdm_segments_decrypted", "Stored segments decrypted to be served, by kind of part", ["kind"]
)
SEGMENTS_DECRYPTED = {
    kind: _SEGMENTS_DECRYPTED.labels(kind) for kind in ("original", "head", "pixels", "tail", "frames")
}
_BYTES_OUT = Counter("mdm_bytes_out", "Bytes served through transfer URLs", ["delivery"])
CLEAR_OUT, SEALED_OUT = _BYTES_OUT.labels("clear"), _BYTES_OUT.labels("sealed")
BYTES_IN = Counter("mdm_bytes_in", "Bytes received through transfer URLs")
INGESTED = Counter(
    "mdm_images_ingested", "Images stored, by the state of their de-identified view", ["basic"]
)
_TRANSFERS = Gauge("mdm_transfers_running", "Transfers running now", ["direction"])
TRANSFERS_OUT, TRANSFERS_IN = _TRANSFERS.labels("out"), _TRANSFERS.labels("in")
FILED = Counter(
    "mdm_instances_filed",
    "Instances that named themselves (C-STORE, STOW-RS), by outcome: new, same, updated, patient changed, apart",
    ["outcome"],
)
STAGED = Counter(
    "mdm_images_staged",
    "Images asked of archives, by what came of it: brought, away, lost, refused",
    ["outcome"],
)
DAMAGED_PARTS = Gauge(
    "mdm_damaged_parts", "Parts of stored images that a deep check found damaged, and that are not mended"
)
CACHE_BYTES = Gauge(
    "mdm_cache_bytes",
    "Bytes of images from archives, here and coming, of all nodes, when this node last set room aside",
    ["state"],
)
CACHE_EVICTED = Counter(
    "mdm_cache_evicted", "Images from archives whose bytes went: for room, or asked", ["why"]
)
CACHE_EVICTED_BYTES = Counter("mdm_cache_evicted_bytes", "Bytes of images from archives that went")
CACHE_REFUSED = Counter(
    "mdm_cache_refused", "Times that there was no room for an image from an archive: full, too small", ["why"]
)
CACHE_ASKED = Counter(
    "mdm_cache_asked",
    "Files asked for that archives have too: hit when they were here, miss when not",
    ["found"],
)
GRANTED = Counter("mdm_grants", "Transfer URLs handed out", ["operation"])
DISK_FREE = Gauge("mdm_disk_free_bytes", "Bytes that are free on a disk this node writes to", ["disk"])
DISK_FULL = Gauge(
    "mdm_disk_full", "1 while no more than its reserve is free, and nothing is taken in", ["disk"]
)
SWEPT = Counter("mdm_swept", "What the sweeper took away", ["what"])
