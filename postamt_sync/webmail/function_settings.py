"""The settings of the webmail's function, which are its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

_MAY_BE_EMPTY = frozenset({"prefix", "recent_prefix"})
ON, OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """Names at AWS, and the host of the page. Of secrets it has the names of their parameters.

    `table` is the webmail's own table, `lists` that of the mailboxes' lists of mail. `day_bucket`
    and `day_prefix` are the day's place. `sealed_prefix` is where sealed mail is, OFF if there is
    none. `kms` is ON if mail that SES encrypted is to be opened.
    """

    host: str
    table: str
    index: str
    lists: str
    bucket: str
    prefix: str
    recent_prefix: str
    day_bucket: str
    day_prefix: str
    session_keys: str
    device_keys: str
    origin_secret: str
    kms: str = OFF
    sealed_prefix: str = OFF

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that `read` reads."""
        return {name.upper(): value for name, value in asdict(self).items()}

    @property
    def origin(self) -> str:
        """The origin of the page."""
        return f"https://{self.host}"

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.session_keys, self.device_keys, self.origin_secret)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from an environment; raises ValueError, which names what is missing."""
        names = [field.name for field in fields(cls)]
        missing = [
            name.upper()
            for name in names
            if name.upper() not in environ or not (environ[name.upper()] or name in _MAY_BE_EMPTY)
        ]
        if missing:
            raise ValueError(f"the environment lacks {', '.join(missing)}")
        return cls(**{name: environ[name.upper()] for name in names})
