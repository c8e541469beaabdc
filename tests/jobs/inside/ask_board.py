"""Whether LLaMA Board's page can be built by the script that kit wrote; run by the Python of a train image.

python ask_board.py SCRIPT prints `PARSED ` and JSON: what the page would listen on, what it answers when it
is asked, and how many components it has. Nothing listens: where it would be launched, it is asked at once.
"""

import json
import os
import runpy
import sys

from gradio import Blocks
from gradio.routes import App
from starlette.testclient import TestClient


def ask(page: Blocks, *, server_name: str, share: bool, **_: object) -> None:
    """Print what a page would do that is to be launched."""
    client = TestClient(App.create_app(page))
    answer = client.get("/")
    found = {
        "GRADIO_SERVER_NAME": server_name,
        "GRADIO_SERVER_PORT": os.environ["GRADIO_SERVER_PORT"],
        "GRADIO_SHARE": str(int(share)),
        "status": answer.status_code,
        "closed": "default-src 'self'" in answer.headers.get("content-security-policy", ""),
        "components": len(client.get("/config").json()["components"]),
    }
    print("PARSED", json.dumps(found))


Blocks.launch = ask
runpy.run_path(sys.argv[1], run_name="__main__")
