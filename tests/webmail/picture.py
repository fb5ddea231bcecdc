"""Draws the README's picture of the webmail again: python -m tests.webmail.picture

The page is the real one, in a real browser, before mail that is made up.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from postamt_sync.mail.arrival import Verdicts
from tests.browser import browsing
from tests.webmail.page import served_scene, signed_in

PICTURE = Path(__file__).parents[2] / ".github" / "webmail.png"
WIDTH, HEIGHT = 1100, 680

_RICH = """<div style="font-family: Georgia, serif">
<h2 style="color: #7a3b00">The garden in autumn</h2>
<p>Dear Anna, the beds are as good as empty.
<b>Thursday</b> we plant the garlic, if it stays dry.</p>
<table style="border-collapse: collapse">
<tr style="background: #f3e6d8"><th align="left">bed</th><th align="left">what</th></tr>
<tr><td style="padding-right: 2em">south</td><td>garlic, broad beans</td></tr>
<tr><td>north</td><td>leaves, until spring</td></tr></table>
<p><img src="https://pictures.example/autumn.jpg" alt="">Clara</p></div>
"""
_MAILS = (
    ("Clara Weiß <clara@garden.example>", "Tea on Thursday?", "From four, as always.\n", ""),
    ("Town library <desk@library.example>", "Two books are ready", "Until Saturday.\n", ""),
    ("You have won <prize@spam.example>", "URGENT!!!", "Click.\n", "FAIL"),
    ("Bruno <bruno@example.com>", "Re: the roof", "He comes on Monday.\n", ""),
)


def main() -> None:
    """Write the picture."""
    with served_scene() as (scene, url), browsing() as browser:
        scene.let_in("anna")
        for number, (sender, subject, text, spam) in enumerate(_MAILS):
            scene.arrive(
                f"m{number}",
                _mail(sender, subject, text).as_bytes(),
                received_at=f"2026-11-27T{15 - number:02}:10:00.000Z",
                verdicts=Verdicts(spam=spam or "PASS", dmarc="PASS"),
            )
        plan = _mail("Clara Weiß <clara@garden.example>", "The garden plan", "Garlic.\n")
        plan.add_alternative(_RICH, subtype="html")
        plan.add_attachment(
            b"%PDF-1.7\n" + b"beds " * 4_000,
            maintype="application",
            subtype="pdf",
            filename="beds.pdf",
        )
        scene.arrive("plan", plan.as_bytes(), received_at="2026-11-27T16:40:00.000Z")
        signed_in(browser, url)
        browser.resize(WIDTH, height=HEIGHT)
        browser.until("return document.querySelectorAll('#mails a').length > 3")
        browser.run("document.querySelector('#mails a').click()")
        browser.until("return document.querySelector('#mail iframe')")
        with browser.within("iframe"):
            browser.until("return document.body.innerText.includes('broad beans')")
        browser.picture(PICTURE)


def _mail(sender: str, subject: str, text: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, "Anna <anna@example.com>", subject
    mail["Date"] = "Fri, 27 Nov 2026 17:40:00 +0100"
    mail.set_content(text)
    return mail


if __name__ == "__main__":
    main()
