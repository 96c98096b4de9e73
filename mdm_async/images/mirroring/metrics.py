"""What a sender to mirrors counts; by the mirror's name, which an administrator gave."""

from prometheus_client import Counter, Gauge

LAG_SECONDS = Gauge(
    "mdm_mirror_lag_seconds", "Age of the oldest change that a mirror has not taken", ["mirror"]
)
WAITING = Gauge("mdm_mirror_waiting", "Changes that a mirror has not taken", ["mirror"])
FAILED = Gauge("mdm_mirror_failed", "Changes of those that a mirror refused, or cannot take yet", ["mirror"])
FENCED = Gauge(
    "mdm_mirror_fenced", "1 when a mirror was promoted, and this site's directory is read-only", ["mirror"]
)
FILES = Counter("mdm_mirror_files", "Files sent to a mirror", ["mirror"])
BYTES = Counter("mdm_mirror_bytes", "Bytes of files sent to a mirror, before they are sealed", ["mirror"])
