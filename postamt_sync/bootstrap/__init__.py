"""The AWS side: what should exist, what does exist, and the calls that close the gap."""
