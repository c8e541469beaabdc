"""What stands for easy-dataset in its image: the same port, the same two folders, a page with a form.

As the makers' image does (release 1.7.3), it brings its database beside its place, copies it there when
nothing is in that folder yet, and refuses to start when something is and the database is not among it.
"""

from __future__ import annotations

import html
import shutil
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

TEMPLATE, PRISMA, LOCAL = Path("/app/prisma-template"), Path("/app/prisma"), Path("/app/local-db")
DATABASE = PRISMA / "db.sqlite"
PAGE = """<!doctype html><title>Easy Dataset</title><h1>Projects</h1>{rows}
<form method="post"><label>Name <input name="name"></label><button>Create</button></form>"""


def initialise() -> None:
    """Fill the folder of the database, once."""
    if DATABASE.exists():
        return
    if any(PRISMA.iterdir()):
        sys.exit("the database is missing, and the folder is not empty")
    shutil.copytree(TEMPLATE, PRISMA, dirs_exist_ok=True)
    with sqlite3.connect(DATABASE) as database:
        database.execute("create table Projects (name text)")


class Page(BaseHTTPRequestHandler):
    """All projects, and a form for a new one."""

    def do_GET(self) -> None:
        with sqlite3.connect(DATABASE) as database:
            names = [html.escape(name) for (name,) in database.execute("select name from Projects")]
        body = PAGE.format(rows="".join(f"<p class=project>{name}</p>" for name in names)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers["Content-Length"])).decode()
        (name,) = parse_qs(given)["name"]
        with sqlite3.connect(DATABASE) as database:
            database.execute("insert into Projects values (?)", (name,))
        (LOCAL / "projects.txt").write_text(name, encoding="utf-8")
        self.send_response(303)
        self.send_header("Location", "/")
        self.end_headers()


if __name__ == "__main__":
    initialise()
    # The real one has no setting for its address, either.
    ThreadingHTTPServer(("0.0.0.0", 1717), Page).serve_forever()
