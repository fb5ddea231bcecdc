"""The whole system on one machine without an AWS account: an embedded cloud and its sample mail."""
