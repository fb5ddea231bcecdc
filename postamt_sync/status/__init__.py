"""How things stand: the report shared by `status`, the status page and the metrics."""
