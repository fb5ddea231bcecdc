"""A TLS server under any name, and the CONNECT proxy that leads there: AWS without a network."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.doubles.sns import CertificateServer, key_pem, private_key


@dataclass
class Proxy:
    """`asked` holds the CONNECT targets in order."""

    url: str
    ca_bundle: Path
    server: CertificateServer
    asked: list[str] = field(default_factory=list)


def authority_and_leaf(name: str) -> tuple[bytes, bytes]:
    """PEM of a certificate authority, and of a certificate for `name` (keys 8 and 9)."""
    now = dt.datetime.now(dt.UTC)
    authority, leaf = private_key(8), private_key(9)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    issuer_key_id = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())

    def signed(builder: x509.CertificateBuilder) -> bytes:
        certificate = (
            builder.issuer_name(issuer)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=90))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id),
                critical=False,
            )
            .sign(authority, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    ca_usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    root = signed(
        x509.CertificateBuilder()
        .subject_name(issuer)
        .public_key(authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(ca_usage, critical=True)
        .add_extension(issuer_key_id, critical=False)
    )
    end = signed(
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(leaf.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return root, end


@asynccontextmanager
async def proxy_to(name: str, pem: bytes, directory: Path) -> AsyncIterator[Proxy]:
    """A proxy behind which `name`:443 is a server of ours that serves `pem` over TLS."""
    root, leaf = authority_and_leaf(name)
    for file, content in (("ca", root), ("leaf", leaf), ("key", key_pem(private_key(9)))):
        (directory / f"{file}.pem").write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "leaf.pem", directory / "key.pem")

    double = CertificateServer("", pem)
    runner = web.ServerRunner(web.Server(double.answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    proxy = Proxy("", directory / "ca.pem", double)
    tunnels: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tunnels.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        proxy.asked.append(head.split(b" ")[1].decode())
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    listening = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()
        await asyncio.wait_for(asyncio.gather(*tunnels, return_exceptions=True), 5)
        await runner.cleanup()
