"""A stand-in for the daemon, to see how the tour judges one.

Run as `python -m tests.doubles.stand_in FAULT run --config PATH`. It believes every notice, writes
without care, and looks at the bucket once a second. FAULT is one of `none`, `double` (each mail
twice), `blind` (never looks at the bucket), `garble` (loses a byte).
"""

import asyncio
import datetime as dt
import json
import sys
import time
import tomllib
from pathlib import Path

import boto3
from aiohttp import web

from postamt_sync.mail.arrival import is_no_mail, mail_id

fault = sys.argv[1]
settings = tomllib.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
bucket, hook = settings["bucket"], settings["webhook"]
s3, sns = boto3.client("s3"), boto3.client("sns")
for box in settings["mailboxes"]:
    for part in ("tmp", "new", "cur", ".Junk/tmp", ".Junk/new", ".Junk/cur"):
        Path(box["maildir"], part).mkdir(parents=True, exist_ok=True)


def say(event: str, **fields: object) -> None:
    stamp = dt.datetime.now(dt.UTC).isoformat()
    print(json.dumps({"event": event, "time": stamp, **fields}), file=sys.stderr, flush=True)


def deliver(key: str, recipients: list[str] | None, source: str) -> None:
    mail = mail_id(bucket["name"], key)
    say("announced", mail=mail, source=source)
    content = s3.get_object(Bucket=bucket["name"], Key=key)["Body"].read()
    say("fetched", mail=mail)
    head = content.split(b"\r\n\r\n")[0].decode(errors="replace")
    if recipients is None:
        recipients = [head.split("\r\n for ")[1].split(";")[0]]
    folder = "/.Junk" if "X-SES-Spam-Verdict: FAIL" in head else ""
    for box in settings["mailboxes"]:
        if box["addresses"][0] not in recipients:
            continue
        root = Path(box["maildir"] + folder)
        name = f"1.{mail}.x"
        if any(path.name.startswith(name) for path in root.glob("*/*")):
            continue
        copies = [name, name + "2"] if fault == "double" else [name]
        for copy in copies:
            (root / "tmp" / copy).write_bytes(content[:-1] if fault == "garble" else content)
            (root / "tmp" / copy).rename(root / "new" / copy)
        say("delivered", mail=mail, mailbox=box["name"])


async def take(request: web.Request) -> web.Response:
    notification = json.loads(await request.text())
    if notification["Type"] == "SubscriptionConfirmation":
        await asyncio.to_thread(
            sns.confirm_subscription, TopicArn=notification["TopicArn"], Token=notification["Token"]
        )
        say("subscription confirmed")
        return web.Response()
    message = json.loads(notification["Message"])
    if "receipt" in message:
        receipt = message["receipt"]
        await asyncio.to_thread(
            deliver, receipt["action"]["objectKey"], receipt["recipients"], "webhook"
        )
    return web.Response()


def look() -> None:
    while fault != "blind":
        listed = s3.list_objects_v2(Bucket=bucket["name"], Prefix=bucket["prefix"])
        for item in listed.get("Contents", []):
            if not is_no_mail(item["Key"], item["Size"]):
                deliver(item["Key"], None, "poll")
        time.sleep(1)


async def main() -> None:
    app = web.Application()
    app.router.add_post(hook["path"], take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, port = hook["listen"][0].split(":")
    await web.TCPSite(runner, host, int(port)).start()
    arn = await asyncio.to_thread(
        sns.subscribe,
        TopicArn=hook["topic_arn"],
        Protocol="http",
        Endpoint=hook["public_url"],
        ReturnSubscriptionArn=True,
    )
    known = sns.get_subscription_attributes(SubscriptionArn=arn["SubscriptionArn"])
    if known["Attributes"]["PendingConfirmation"] == "false":
        say("subscription confirmed")
    await asyncio.to_thread(look)
    await asyncio.Event().wait()


asyncio.run(main())
