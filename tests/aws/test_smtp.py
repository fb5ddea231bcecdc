from __future__ import annotations

import pytest

from postamt_sync.aws.regions import RECEIVING, WITHOUT_SMTP
from postamt_sync.aws.smtp import smtp_password, smtp_server

DOCUMENTED_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("secret", "region", "password"),
    [
        ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("another+secret+key", "eu-central-1", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("some+secret+key", "us-west-1", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("another+secret+key", "us-west-1", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
        (DOCUMENTED_SECRET, "us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
        (DOCUMENTED_SECRET, "us-west-2", "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd"),
        (DOCUMENTED_SECRET, "eu-west-1", "BMW5RDrXmmVs0lV7GpI4oLkHXpZ4stDsk6q91z1g38Pk"),
        (DOCUMENTED_SECRET, "eu-central-1", "BF0/eIJm0ruTHsSjOkRuOGzGF+zeSyE3aiRzrzUQ8LwG"),
    ],
)
def test_passwords_are_those_that_others_derive(secret: str, region: str, password: str) -> None:
    assert smtp_password(secret, region) == password


def test_where_and_how_to_send() -> None:
    server = smtp_server("eu-west-1")
    assert server is not None
    assert server.host == "email-smtp.eu-west-1.amazonaws.com"
    assert (server.implicit_tls, server.starttls) == ((465, 2465), (587, 2587, 25))


def test_some_regions_receive_but_have_no_smtp() -> None:
    assert {region for region in RECEIVING if smtp_server(region) is None} == {
        "af-south-1",
        "ap-southeast-3",
        "eu-south-1",
        "il-central-1",
        "me-south-1",
    }
    assert smtp_server("af-south-1") is None
    assert all(smtp_server(region) is None for region in WITHOUT_SMTP)
