"""The texts of alerts: for each cause what it is called, what it means, and what to check."""

from __future__ import annotations

from dataclasses import dataclass

from postamt_sync.ledger.incidents import Cause


@dataclass(frozen=True, slots=True)
class AlertText:
    """The texts for one cause. `one` and `many` are the subject; `{n}` in it is the count."""

    one: str
    many: str
    meaning: str
    checks: tuple[str, ...]
    verb: str = ""
    """The command that fixes it, without the program's name and `--config`."""

    def subject(self, count: int) -> str:
        """Return the subject for so many incidents."""
        return (self.one if count == 1 else self.many).format(n=count)


TEXTS = {
    Cause.DEAD_LETTERS: AlertText(
        "1 webhook delivery failed",
        "{n} webhook deliveries failed",
        "SNS could not deliver these notifications to the webhook and has put them into the queue "
        "for dead letters. They have been read from there: their mail is here, or on its way.",
        (
            "that the box can be reached at webhook.public_url: router, address, DNS",
            "that the TLS certificate is valid and issued by a public authority",
            "what `postamt-sync status` says about the webhook",
        ),
    ),
    Cause.QUARANTINE: AlertText(
        "1 mail is quarantined",
        "{n} mails are quarantined",
        "This mail can never be delivered as it is. It is safe in S3.",
        (
            "the reason, here and with: postamt-sync quarantine list",
            "once the cause is fixed: postamt-sync quarantine retry --all",
        ),
    ),
    Cause.CREDENTIALS: AlertText(
        "AWS refuses our credentials",
        "AWS refuses our credentials",
        "While this lasts no mail can be fetched. Nothing is lost: it waits in S3.",
        (
            "that the access key still exists and is active (IAM, user of the box)",
            "that the policy of this user allows what is named below",
            "the clock of this machine (timedatectl)",
        ),
    ),
    Cause.SILENCE: AlertText(
        "the bucket could not be listed for a long time",
        "the bucket could not be listed for a long time",
        "Mail that was announced may be here; all other mail will come once the bucket can "
        "be read again. Nothing is lost: it waits in S3.",
        (
            "that the box reaches the internet",
            "what `postamt-sync status` says about the poll",
        ),
    ),
    Cause.CERTIFICATE: AlertText(
        "the webhook's certificate is about to expire",
        "the webhook's certificate is about to expire",
        "From that moment on SNS does not deliver to the webhook. Mail will still come, by queue "
        "and poll, but later.",
        (
            "why it was not renewed (for certbot: systemctl status certbot.timer)",
            "that the new files are where webhook.tls_certificate and webhook.tls_key say",
        ),
    ),
    Cause.DISK: AlertText(
        "a disk is nearly full",
        "{n} disks are nearly full",
        "Once it is full, mail waits until there is room again. Nothing is lost.",
        ("what takes up the room (du -xsh /* for a start), and what of it can be deleted",),
    ),
    Cause.MAILBOX: AlertText(
        "a mailbox has vanished",
        "{n} mailboxes have vanished",
        "A Maildir that has been there is gone, most likely because its disk is not mounted. Its "
        "mail waits; nothing is created in its place.",
        (
            "that its disk is plugged in and mounted (findmnt, dmesg)",
            "that nobody has moved or renamed the directory",
        ),
    ),
    Cause.LOST_FILES: AlertText(
        "a Maildir had lost mail, which is being delivered again",
        "Maildirs had lost mail {n} times, which is being delivered again",
        "The files of a Maildir are older than the list of what was delivered into it, as happens "
        "when a disk is restored from a copy, or when a power cut destroys what the disk had "
        "promised to keep. What was delivered since then and is in none of its folders is fetched "
        "from S3 again. Mail that its owner had deleted in that time comes back too.",
        (
            "whether you restored this disk yourself: then all is well",
            "if not, whether the disk is failing (dmesg, smartctl -a)",
        ),
    ),
    Cause.ABSENT: AlertText(
        "mail is absent since the ledger was rebuilt",
        "mail is absent in {n} mailboxes since the ledger was rebuilt",
        "The ledger, the list of what was delivered, was lost. Mail that was not at home, and is "
        "older than the newest mail in its mailbox, was most likely deleted by its owner; it is "
        "not delivered again. But some of it may never have been delivered, for instance if a disk "
        "was full or missing. All of it is safe in S3.",
        (
            "whether these days are the ones in which a mailbox could not take its mail",
            "which mails they are, one by one: postamt-sync verify",
        ),
        "restore --only absent",
    ),
    Cause.PUBLISHING: AlertText(
        "SES could not store mail that it had accepted",
        "SES could not store mail that it had accepted",
        "PublishFailure means that SES tries again, for up to 36 hours. PublishExpired means "
        "that it gave up: the mail is lost, and its sender was not told.",
        (
            "that the bucket's policy lets SES put objects, and the topic's lets it publish",
            "that the bucket, topic and KMS keys that the receipt rule names exist",
            "the whole of the AWS side with: postamt-sync bootstrap verify",
        ),
    ),
    Cause.BOUNCES: AlertText(
        "1 mail that you sent came back",
        "{n} mails that you sent came back",
        "The receiving side refused them for good, or SES gave up trying, or never sent them.",
        ("the address, and the reason that the receiving side gave",),
    ),
    Cause.COMPLAINTS: AlertText(
        "someone marked a mail of yours as spam",
        "{n} mails of yours were marked as spam",
        "SES passes on what the receiving provider reported. With too many complaints it stops "
        "sending for the account.",
        ("whether these people want your mail; do not write to them unasked",),
    ),
    Cause.SEALING: AlertText(
        "mail at AWS is not sealed as it should be",
        "mail at AWS is not sealed as it should be",
        "While this lasts, mail stays in the bucket unencrypted; nothing is lost. You only have to "
        "act if it says below that a plain copy may expire without a sealed one, and within the "
        "days of `undo` in [seal]: until then the plain copy is kept as a version.",
        (
            "whether the keys have expired: postamt-sync seal check",
            "that they were proved since they were last changed: postamt-sync seal prove",
            "the function and its permissions: postamt-sync bootstrap plan",
            "who else tags or deletes in the bucket",
        ),
    ),
}
