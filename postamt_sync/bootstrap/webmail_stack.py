"""The webmail part of a stack: all names and ARNs that are known before anything exists.

AWS assigns the ids of the HTTP API, the distribution and the certificate; those are found again by
tag and name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE
from postamt_sync.bootstrap.stack_part import StackPart, usual_bucket
from postamt_sync.webmail.key_ring import SECRET_HEADER

CERTIFICATE_REGION = "us-east-1"
"""The region from which CloudFront takes certificates, wherever the stack is."""

SITE_PREFIX = "site/"
"""The page's files in the site bucket; CloudFront can read nothing else there."""
DAY_PREFIX = "day/"
"""Files in the site bucket that are kept for a day, without versions."""

SIGN_IN_ROUTE = "POST /api/sign-in"
KNOWN_SIGN_IN_ROUTE = "POST /api/sign-in/known"
"""For devices that have signed in before: a flood of strangers does not affect it."""


@dataclass(frozen=True, slots=True)
class WebmailStack(StackPart):
    """The webmail of one stack. `host` is its DNS name, in lower-case A-labels.

    `mail_bucket` is the stack's bucket, with received mail below the two prefixes; `domains` are
    those that it may send from.
    """

    host: str
    mail_bucket: str
    domains: tuple[str, ...] = ()
    prefix: str = "incoming/"
    recent_prefix: str = "recent/"
    kms: bool = False
    """Whether it decrypts mail that SES encrypted with a KMS key."""
    sealed_prefix: str = ""
    """Where sealed mail is; "" if there is none."""

    @property
    def origin(self) -> str:
        """The page's origin, as in the header Origin."""
        return f"https://{self.host}"

    @property
    def table(self) -> str:
        """The webmail's own table: sign-ins, sessions, drafts."""
        return self._name

    @property
    def mail_bucket_arn(self) -> str:
        return self.arn_of_bucket(self.mail_bucket)

    @property
    def index(self) -> str:
        """The table with the stack's index."""
        return self.name

    @property
    def function(self) -> str:
        return self._name

    @property
    def site_bucket(self) -> str:
        """The bucket for the page and for files that are kept for a day.

        Nobody else can take its name; in a region without account namespaces, nobody can guess it
        without knowing the mail bucket's.
        """
        if not self.own_namespace:
            drawn = hashlib.sha256(f"{self.account} {self.mail_bucket}".encode()).hexdigest()
            return f"{self._name}-{drawn[:16]}"
        return usual_bucket(_short(self._name, 63 - len(self._place)), self.account, self.region)

    @property
    def own_namespace(self) -> bool:
        """Whether only this account can take the site bucket's name."""
        return self.region not in WITHOUT_OWN_NAMESPACE

    @property
    def site_bucket_arn(self) -> str:
        return self.arn_of_bucket(self.site_bucket)

    @property
    def api(self) -> str:
        """The name of the HTTP API; AWS assigns its id."""
        return self._name

    @property
    def distribution(self) -> str:
        """The distribution's comment, and the name of its policies.

        It contains the region because CloudFront has none: stacks with the same name in two regions
        must not collide.
        """
        return f"{self._name}-{self.region}"

    @property
    def session_keys(self) -> str:
        """The parameter with the keys that sign sessions, as `KeyRing` writes them."""
        return f"{self._parameters}/session-keys"

    @property
    def device_keys(self) -> str:
        """The parameter with the keys that sign the cookies of known devices."""
        return f"{self._parameters}/device-keys"

    @property
    def origin_secret(self) -> str:
        """The parameter with the secret that CloudFront sends in `secret_header`, a `KeyRing`."""
        return f"{self._parameters}/origin-secret"

    @property
    def secret_header(self) -> str:
        """The header that proves to the function that a request came through CloudFront."""
        return SECRET_HEADER

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.session_keys, self.device_keys, self.origin_secret)

    def parameter_arn(self, name: str) -> str:
        return self._arn("ssm", f"parameter{name}")

    @property
    def _name(self) -> str:
        return webmail_name(self.name)

    @property
    def _parameters(self) -> str:
        # SSM reserves names that begin with these.
        kept = self.name.startswith(("aws", "ssm"))
        return f"/{'stack-' if kept else ''}{self.name}/webmail"

    @property
    def _place(self) -> str:
        return f"-{self.account}-{self.region}-an"


def webmail_name(stack: str) -> str:
    """Return the name of most parts of a stack's webmail, its table included."""
    return f"{stack}-webmail"


def _short(name: str, longest: int) -> str:
    """Return the name; if it is too long, shorten it and append a hash, so that it stays unique."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - len(digest) - 1].rstrip('-')}-{digest}"
