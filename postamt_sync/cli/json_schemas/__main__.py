"""Print the topic `json`, for `topics/json.md`."""

from postamt_sync.cli.json_schemas import as_markdown

print(as_markdown(), end="")
