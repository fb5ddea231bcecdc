"""How things stand: the report that `status`, the status page and the metrics share."""
