"""What is told of the catalog's database."""

from prometheus_client import Gauge

WRITABLE = Gauge("mdm_database_writable", "1 while the catalog's database answers and takes changes, else 0")
