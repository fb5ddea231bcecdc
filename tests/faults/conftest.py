from tests.end_to_end.conftest import home, s3

__all__ = ["home", "s3"]
