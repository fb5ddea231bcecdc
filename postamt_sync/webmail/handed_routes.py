"""The routes as the webmail knows them."""

from __future__ import annotations

from postamt_sync.mail.handed_routes import HandedRoutes

__all__ = ["HandedRoutes"]
