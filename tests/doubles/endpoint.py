"""An HTTP endpoint that takes what SNS pushes: it records, and answers as it is told."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Post:
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def kind(self) -> str:
        return self.headers["x-amz-sns-message-type"]


@dataclass
class Endpoint:
    """Answers with each status in `answers` once, then 200."""

    answers: list[int] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    silent: bool = False
    url: str = ""

    async def __aenter__(self) -> Self:
        self._news = asyncio.Condition()
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/sns", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/sns"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        async with self._news:
            self.posts.append(Post(dict(request.headers), await request.text()))
            self._news.notify_all()
        if self.silent:
            await self._closing.wait()
        status = self.answers.pop(0) if self.answers else 200
        headers = {"Location": self.url} if status in (301, 302, 307) else {}
        return web.Response(status=status, headers=headers)

    async def until(self, enough: Callable[[list[Post]], bool]) -> list[Post]:
        async with self._news:
            await self._news.wait_for(lambda: enough(self.posts))
        return self.posts

    def notifications(self) -> list[dict[str, Any]]:
        return [post.json for post in self.posts if post.kind == "Notification"]
