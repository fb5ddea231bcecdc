"""SES's verdicts on a mail, in words for the reader."""

from __future__ import annotations

from postamt_sync.mail.arrival import Verdicts

BAD, DOUBTFUL, GOOD = "bad", "doubtful", "good"


def verdict_words(verdicts: Verdicts) -> list[dict[str, str]]:
    """Return sentences with their weights, the most serious ones first."""
    words: list[tuple[str, str]] = []
    if verdicts.virus == "FAIL":
        words.append((BAD, "It contains a virus. Open none of its attachments."))
    if verdicts.spam == "FAIL":
        words.append((BAD, "It looks like spam."))
    if verdicts.dmarc == "FAIL":
        wish = {
            "reject": " The domain it claims to come from asks to refuse such mail.",
            "quarantine": " The domain it claims to come from asks to distrust such mail.",
        }.get(verdicts.dmarc_policy or "", "")
        words.append((BAD, f"The sender's address is not proven (DMARC).{wish}"))
    elif verdicts.dmarc == "PASS":
        words.append((GOOD, "The sender's domain is proven (DMARC)."))
    elif verdicts.dkim == "FAIL":
        words.append((DOUBTFUL, "Its signature is broken (DKIM)."))
    elif verdicts.spf == "FAIL":
        words.append((DOUBTFUL, "It comes from a server that its domain does not name (SPF)."))
    if verdicts.dmarc not in {"PASS", "FAIL"} and verdicts.dkim == "PASS":
        words.append((GOOD, "Its signature is right (DKIM)."))
    if "PROCESSING_FAILED" in {verdicts.spam, verdicts.virus}:
        words.append((DOUBTFUL, "It could not be scanned for spam and viruses."))
    order = [BAD, DOUBTFUL, GOOD]
    return [
        {"weight": weight, "text": text}
        for weight, text in sorted(words, key=lambda each: order.index(each[0]))
    ]
