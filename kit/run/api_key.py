"""The key that a served endpoint asks for, if kit.yaml gave it one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.project.job_model import ApiJob, ProxyJob, ServeJob

if TYPE_CHECKING:
    from kit.project.model import Project

_FLAGS = ("api-key", "api_key")
_VARIABLE = "VLLM_API_KEY"


def api_key_of(project: Project, name: str) -> str:
    """Return the key for requests to a job's endpoint; empty when it asks for none."""
    job = project.jobs[name]
    if isinstance(job, ProxyJob):
        job = project.jobs[job.to[0]]
    if isinstance(job, ApiJob):
        return job.env.get("API_KEY", "")
    if not isinstance(job, ServeJob):
        return ""
    given = [job.args[flag] for flag in _FLAGS if flag in job.args]
    key = given[0] if given else job.env.get(_VARIABLE, "")
    # vLLM takes several keys; any of them opens.
    return str(key[0] if isinstance(key, list | tuple) and key else key)
