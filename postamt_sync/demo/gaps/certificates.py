"""ACM's validation by DNS: the emulator issues every certificate after a minute, proven or not."""

from __future__ import annotations

from moto.acm.models import CertBundle
from moto.route53.models import route53_backends

from postamt_sync.demo.gaps.identities import is_verified

PENDING = "PENDING_VALIDATION"


def install() -> None:
    """Issue a certificate as soon as a hosted zone of the account contains its record."""
    CertBundle.check = _check


def _check(bundle: CertBundle) -> None:
    if bundle.status != PENDING:
        return
    host = str(bundle.common_name)
    if is_verified(host) or _is_proven(bundle):
        bundle.status = "ISSUED"


def _is_proven(bundle: CertBundle) -> bool:
    told = bundle.describe()["Certificate"]
    proofs = [option.get("ResourceRecord", {}) for option in told["DomainValidationOptions"]]
    wanted = {(proof.get("Name"), proof.get("Value")) for proof in proofs}
    account = bundle.arn.split(":")[4]
    there = {
        (record.name, value)
        for zone in route53_backends[account]["aws"].zones.values()
        for record in zone.rrsets
        if record.type == "CNAME"
        for value in record.records
    }
    return wanted <= there
