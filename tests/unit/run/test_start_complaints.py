import pytest

from kit.run.start_complaints import hint_for


@pytest.mark.parametrize(
    ("complaint", "word"),
    [
        ("runc create failed: error setting rlimit type 8: operation not permitted", "LimitMEMLOCK"),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', "nvidia-ctk"),
        ("Bind for 127.0.0.1:8000 failed: port is already allocated", "port"),
        ("write /var/lib/docker/tmp: no space left on device", "df -h"),
        ("dial unix /var/run/docker.sock: connect: permission denied while opening docker.sock", "docker"),
        ("something nobody has seen yet", "kit check"),
    ],
)
def test_a_complaint_gets_its_remedy(complaint: str, word: str) -> None:
    hint = hint_for(complaint, "gpu1")
    assert word in hint
    assert "gpu1" in hint
