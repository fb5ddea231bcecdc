"""Brings a household's mail home: SES and S3 receive it, this puts it into Maildirs."""

__version__ = "0.1.0"
