"""Print the topic `json`, to be put into `topics/json.md`."""

from postamt_sync.cli.json_schemas import as_markdown

print(as_markdown(), end="")
