"""What the webmail costs a month, item by item, while someone uses it and while nobody does.

The stack's own items already use AWS's free tier, so nothing is free a second time here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from postamt_sync.aws import prices
from postamt_sync.bootstrap.bill import BillItem

REQUESTS_AN_HOUR = 200
"""Assumed for one user: the page's own request each minute, the rest by hand."""
FILES = 10
"""Files of the page, requested each time it is opened."""
OPENED_AN_HOUR = 2
REQUEST_SECONDS, FUNCTION_GB = 0.3, 1.0
"""Assumed for one request; a large attachment takes longer."""
READS = 6
"""Read units for one request: the session, a part of a list, marks."""
LOG_KB = 1
KEY_READS_AN_HOUR = 36
"""Three parameters every five minutes, decrypted with SSM's own key."""
ANSWER_KB = 40


def webmail_items(hours: float, mails_sent: float = 0) -> Iterator[BillItem]:
    """Yield the items of a month in which someone uses the webmail for so many hours."""
    requests = hours * REQUESTS_AN_HOUR
    files = hours * OPENED_AN_HOUR * FILES
    yield BillItem(
        *("CloudFront", "requests", requests + files, "requests", prices.CLOUDFRONT_REQUEST),
        f"Assumed: {hours:g} hours of reading in a month, {REQUESTS_AN_HOUR} requests in each.",
    )
    data = (requests + files) * ANSWER_KB / 1024**2
    yield BillItem("CloudFront", "data", data, "GB", prices.CLOUDFRONT_GB)
    yield BillItem("API Gateway", "HTTP API", requests, "requests", prices.HTTP_API_REQUEST)
    runs = replace(prices.LAMBDA_REQUEST, free=0)
    yield BillItem("Lambda", "webmail, runs", requests, "runs", runs)
    seconds = requests * REQUEST_SECONDS * FUNCTION_GB
    time = replace(prices.LAMBDA_GB_SECOND, free=0)
    note = f"Assumed: {REQUEST_SECONDS:g} s with {FUNCTION_GB:g} GB for a request."
    yield BillItem("Lambda", "webmail, time", seconds, "GB-s", time, note)
    reads = requests * READS
    yield BillItem("DynamoDB", "webmail, reads", reads, "RRU", prices.DYNAMODB_READ)
    # The session on each request, and the states of each sent mail.
    writes = requests + 4 * mails_sent
    yield BillItem("DynamoDB", "webmail, writes", writes, "WRU", prices.DYNAMODB_WRITE)
    puts = requests / 4 + 3 * mails_sent
    yield BillItem("S3", "webmail, PUT and LIST", puts, "requests", prices.S3_PUT)
    gets = requests + files
    yield BillItem("S3", "webmail, GET", gets, "requests", prices.S3_GET)
    yield BillItem("SSM", "keys", 3, "parameters", prices.SSM_PARAMETER)
    opened = hours * KEY_READS_AN_HOUR
    yield BillItem("KMS", "keys opened", opened, "requests", prices.KMS_REQUEST)
    yield BillItem("ACM", "certificate", 1, "certificates", prices.ACM_CERTIFICATE)
    yield BillItem("Route 53", "alias", requests, "queries", prices.ALIAS_QUERY)
    logged = requests * LOG_KB / 1024**2
    logs = replace(prices.CLOUDWATCH_LOGS_GB, free=0)
    yield BillItem("CloudWatch", "webmail, logs", logged, "GB", logs)
