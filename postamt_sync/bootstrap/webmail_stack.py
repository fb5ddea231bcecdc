"""The webmail beside the stack: every name and ARN of it that is known before anything exists.

AWS draws the ids of the HTTP API, the distribution and the certificate: they are found again by
tag and name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE
from postamt_sync.bootstrap.bucket_name import usual_bucket
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.webmail.key_ring import SECRET_HEADER

CERTIFICATE_REGION = "us-east-1"
"""Where CloudFront looks for certificates, wherever the stack is."""

SITE_PREFIX = "site/"
"""The page's files in the site bucket; CloudFront reads nothing else of it."""
DAY_PREFIX = "day/"
"""The day's place in the site bucket, which keeps no versions."""

SIGN_IN_ROUTE = "POST /api/sign-in"
KNOWN_SIGN_IN_ROUTE = "POST /api/sign-in/known"
"""For devices that have signed in before: a stranger's flood leaves it free."""


@dataclass(frozen=True, slots=True)
class WebmailStack(StackPart):
    """The webmail of one stack. `host` is its name in the DNS, a lower-case A-label.

    `mail_bucket` is the stack's bucket with all mail, with received mail below the two prefixes;
    `domains` are those that it may send as.
    """

    host: str
    mail_bucket: str
    domains: tuple[str, ...] = ()
    prefix: str = "incoming/"
    recent_prefix: str = "recent/"
    kms: bool = False
    """Whether mail that SES encrypted with a KMS key is opened."""
    sealed_prefix: str = ""
    """Where mail lies that was sealed; "": nowhere."""

    @property
    def origin(self) -> str:
        """What a browser calls the page, as in its header Origin."""
        return f"https://{self.host}"

    @property
    def table(self) -> str:
        """The webmail's own table: who may sign in, sessions, drafts."""
        return self._name

    @property
    def mail_bucket_arn(self) -> str:
        return self.arn_of_bucket(self.mail_bucket)

    @property
    def index(self) -> str:
        """The stack's index, a table."""
        return self.name

    @property
    def index_arn(self) -> str:
        return self.arn_of_table(self.index)

    @property
    def function(self) -> str:
        return self._name

    @property
    def site_bucket(self) -> str:
        """The bucket of the page and of the day's place.

        Nobody else can take its name, or, where accounts have no namespace of their own, nobody can
        guess it who does not know the mail bucket's.
        """
        if not self.own_namespace:
            drawn = hashlib.sha256(f"{self.account} {self.mail_bucket}".encode()).hexdigest()
            return f"{self._name}-{drawn[:16]}"
        return usual_bucket(_short(self._name, 63 - len(self._place)), self.account, self.region)

    @property
    def own_namespace(self) -> bool:
        """Whether the site bucket's name can be taken by this account alone."""
        return self.region not in WITHOUT_OWN_NAMESPACE

    @property
    def site_bucket_arn(self) -> str:
        return self.arn_of_bucket(self.site_bucket)

    @property
    def api(self) -> str:
        """The name of the HTTP API; AWS draws its id."""
        return self._name

    @property
    def distribution(self) -> str:
        """What the distribution is called in its comment, and with the region what belongs to it.

        CloudFront knows no regions: two stacks of one name, in two regions, lie side by side.
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
        """The parameter with what CloudFront writes into `secret_header`, as `KeyRing` has it."""
        return f"{self._parameters}/origin-secret"

    @property
    def secret_header(self) -> str:
        """The header by which the function knows what came through CloudFront."""
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
        # SSM keeps what begins with these to itself.
        kept = self.name.startswith(("aws", "ssm"))
        return f"/{'stack-' if kept else ''}{self.name}/webmail"

    @property
    def _place(self) -> str:
        return f"-{self.account}-{self.region}-an"


def webmail_name(stack: str) -> str:
    """Return what most parts of the webmail of a stack are called, its own table too."""
    return f"{stack}-webmail"


def _short(name: str, longest: int) -> str:
    """Return a name, or what is as good as it within so many characters."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - len(digest) - 1].rstrip('-')}-{digest}"
