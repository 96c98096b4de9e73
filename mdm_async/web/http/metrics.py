"""What is counted of requests, by operation. Labels never carry a name, an identifier or a caller."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("mdm_requests", "Requests answered, by operation and HTTP status", ["operation", "status"])
SECONDS = Histogram(
    "mdm_request_seconds",
    "From a request's head to the end of its answer, by operation; transfers with all their bytes",
    ["operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
UNREADABLE = Counter(
    "mdm_requests_unreadable", "What came and was not HTTP, by the status it was answered with", ["status"]
)
