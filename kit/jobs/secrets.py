"""Keys and certificates of an endpoint: files in the run's folder that only their owner can read. Pure.

None of them stands in a compose file, in what `docker inspect` tells, or in a list of processes. When the run
is over they are taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.arguments import own_arguments
from kit.jobs.launch import LaunchFile
from kit.jobs.places import RUN, SECRETS

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import ApiJob, ServeJob, Tls

PRIVATE = 0o600
API_KEY = f"{SECRETS}/api-key"
CERTIFICATE = f"{SECRETS}/cert.pem"
KEY = f"{SECRETS}/key.pem"
BOTH = f"{SECRETS}/tls.pem"
"""Certificate and key in one file, as HAProxy takes them."""
STARTER = "with_key.py"
_OF_TLS = dict.fromkeys(("ssl_certfile", "ssl_keyfile"), "`tls` of the job says it")


def key_files(job: ServeJob | ApiJob, context: LaunchContext) -> tuple[LaunchFile, ...]:
    """Return the file with a job's key, and what starts an engine with it; none without a key."""
    if job.api_key_file is None:
        return ()
    starter = (data_folder("templates") / "serve" / STARTER).read_text(encoding="utf-8")
    key = LaunchFile(API_KEY, context.secret(job.api_key_file), PRIVATE)
    return (LaunchFile(STARTER, starter), key)


def serve_files(name: str, job: ServeJob, context: LaunchContext) -> tuple[LaunchFile, ...]:
    """Return the files that a serve job's keys need. Raises ConfigError when its engine speaks no TLS."""
    files = key_files(job, context)
    if job.tls is None:
        return files
    if job.engine == "sglang":
        raise ConfigError(
            "this SGLang speaks no TLS",
            where=f"jobs.{name}.tls",
            fix="a job of kind proxy before it, with this tls",
        )
    own_arguments(name, job.args, _OF_TLS)
    cert = LaunchFile(CERTIFICATE, context.secret(job.tls.cert), PRIVATE)
    return (*files, cert, LaunchFile(KEY, context.secret(job.tls.key), PRIVATE))


def tls_words(job: ServeJob) -> tuple[str, ...]:
    """Return vLLM's words for its certificate; none without one."""
    return (f"--ssl-certfile={RUN}/{CERTIFICATE}", f"--ssl-keyfile={RUN}/{KEY}") if job.tls else ()


def with_key(job: ServeJob | ApiJob, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command of an engine, started so that it finds its key in the file, if it asks for one."""
    program, dash_m, *rest = words
    return (program, f"{RUN}/{STARTER}", *rest) if job.api_key_file and dash_m == "-m" else words


def proxy_files(tls: Tls | None, context: LaunchContext) -> tuple[LaunchFile, ...]:
    """Return the file that HAProxy's certificate needs."""
    if tls is None:
        return ()
    text = "\n".join(context.secret(path).strip() for path in (tls.cert, tls.key))
    return (LaunchFile(BOTH, f"{text}\n", PRIVATE),)
