"""LLaMA Board for browsers that reach nothing but it. Run by the train image's Python; written by kit.

Gradio's page asks font and script servers on the internet. A browser that is told what it may ask asks nobody
else, and does not wait for those that do not answer.
"""

from __future__ import annotations

from typing import Any

from gradio.routes import App
from llamafactory.webui.interface import run_web_ui

POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
make_app = App.create_app


class OnlyThisServer:
    """Adds the policy to every answer (Content Security Policy Level 3, W3C), as ASGI has it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""

        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"content-security-policy", POLICY)]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_policy)


def make_closed_app(*args: Any, **kwargs: Any) -> Any:
    """Return Gradio's app with the policy around it."""
    app = make_app(*args, **kwargs)
    app.add_middleware(OnlyThisServer)
    return app


App.create_app = staticmethod(make_closed_app)
run_web_ui()
