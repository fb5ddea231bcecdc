"""Disagreements over a corpus of header blocks: we, Python's email, postal-mime, and who is right.

    python tests/benchmarks/headers.py [--postal-mime node_modules/postal-mime] [--all]

Recipients (To and Cc) and subjects of `tests/support/header_corpus.py` are compared with what its
senders meant. Each disagreement in which we are wrong is shown, with `--all` every other one too.
postal-mime is asked where it is named: npm install postal-mime
"""

from __future__ import annotations

import argparse
import base64
import email
import email.policy
import email.utils
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from email.header import decode_header, make_header
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.headers import addresses
from tests.support.header_corpus import Sample, samples

Reading = tuple[tuple[str, ...], str]
NOTHING: Reading = ((), "")
POSTAL_MIME = """
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
const { default: PostalMime } = await import(pathToFileURL(process.argv[1]).href);
for await (const line of createInterface({ input: process.stdin })) {
  let told = { to: [], subject: "" };
  try {
    const mail = await PostalMime.parse(Buffer.from(line, "base64"));
    const flat = (list) => (list ?? []).flatMap((one) => one.group ?? [one]);
    const everyone = [...flat(mail.to), ...flat(mail.cc)];
    told = { to: everyone.map((one) => one.address ?? ""), subject: mail.subject ?? "" };
  } catch {}
  console.log(JSON.stringify(told));
}
"""


def ours(head: bytes) -> Reading:
    return addresses(head), summary_of_head(head).subject or ""


def modern(head: bytes) -> Reading:
    """Return what Python's policy.default says; what it raises on counts as unread."""
    try:
        message = email.message_from_bytes(head, policy=email.policy.default)
        lists = [field for name in ("to", "cc") for field in message.get_all(name, [])]
        found = tuple(a.addr_spec for field in lists for a in field.addresses)
        return found, flat(str(message.get("subject", "")))
    except Exception:  # noqa: BLE001 - whatever it is, it is no answer
        return NOTHING


def older(head: bytes) -> Reading:
    """Return what Python's policy.compat32 says with getaddresses and decode_header."""
    try:
        message = email.message_from_bytes(head)
        lists = [str(field) for name in ("to", "cc") for field in message.get_all(name, [])]
        found = tuple(address for _, address in email.utils.getaddresses(lists))
        subject = make_header(decode_header(message.get("subject", "")))
        return found, flat(str(subject))
    except Exception:  # noqa: BLE001 - whatever it is, it is no answer
        return NOTHING


def flat(text: str) -> str:
    return " ".join(text.split())


def postal_mime(package: Path, corpus: Sequence[Sample]) -> list[Reading]:
    entry = json.loads((package / "package.json").read_text())
    module = package / (entry.get("module") or entry["main"])
    lines = "".join(f"{base64.b64encode(sample.head).decode()}\n" for sample in corpus)
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", POSTAL_MIME, str(module.resolve())],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.split("\n") if line]
    return [(tuple(filter(None, one["to"])), flat(one["subject"])) for one in told]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--postal-mime", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    corpus = list(samples())
    readers: dict[str, Callable[[bytes], Reading]] = {
        "we": ours,
        "policy.default": modern,
        "compat32": older,
    }
    read = {name: [reader(sample.head) for sample in corpus] for name, reader in readers.items()}
    if options.postal_mime:
        read["postal-mime"] = postal_mime(options.postal_mime, corpus)
    right: Counter[tuple[str, str]] = Counter()
    for number, sample in enumerate(corpus):
        meant: Reading = (sample.to, sample.subject)
        answers = {name: found[number] for name, found in read.items()}
        good = {name for name, answer in answers.items() if answer == meant}
        right.update((sample.kind, name) for name in good)
        if len(good) < len(answers) and (options.all or "we" not in good):
            print(f"{sample.kind}: {sample.head[:160]!r}\n  meant {meant}")
            for name, answer in answers.items():
                print(f"  {name} {'is right' if name in good else answer}")
    total = Counter(sample.kind for sample in corpus)
    print(f"{'right of':>36} " + " ".join(f"{name:>14}" for name in read))
    for kind, count in [*total.items(), ("all", len(corpus))]:
        counts = (
            right[kind, name] if kind in total else sum(right[k, name] for k in total)
            for name in read
        )
        print(f"{kind:>30} {count:>5} " + " ".join(f"{n:>14}" for n in counts))


if __name__ == "__main__":
    main()
