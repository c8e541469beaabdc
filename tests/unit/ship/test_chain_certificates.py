from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509

from kit.errors import TransferError
from kit.ship.chain.certificates import Authority, host_label, parse_credentials
from kit.ship.chain.tls import contexts

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0


def test_a_certificate_names_one_host_and_cannot_make_others() -> None:
    made = Authority((NOW,)).issue("gpu 1/ä")
    found = x509.load_pem_x509_certificate(made.certificate.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host_label("gpu 1/ä")]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(made.authority.encode()))


def test_hosts_have_labels_of_their_own_whatever_their_case() -> None:
    assert len({host_label(name) for name in ("a", "A", "a.b", "a_b", "a" * 200)}) == 5
    assert all(len(label.split(".")[0]) < 64 for label in map(host_label, ("a", "a" * 200)))


def test_it_is_good_for_hosts_whose_clocks_are_years_apart() -> None:
    made = Authority((NOW, NOW - 3 * YEAR, NOW + YEAR)).issue("a")
    found = x509.load_pem_x509_certificate(made.certificate.encode())
    at = [dt.datetime.fromtimestamp(t, dt.timezone.utc) for t in (NOW - 3 * YEAR, NOW + YEAR)]
    assert found.not_valid_before_utc < at[0]
    assert at[1] < found.not_valid_after_utc


@pytest.mark.parametrize("clock", [0.0, -1e12, 1e15])
def test_a_clock_out_of_all_bounds_stops_nothing(clock: float) -> None:
    Authority((clock, NOW)).issue("a")


def test_a_key_is_never_shown() -> None:
    made = Authority((NOW,)).issue("a")
    assert "PRIVATE" not in repr(made)
    assert parse_credentials(made.document()) == made


@pytest.mark.parametrize(
    "change", [{"key": 5}, {"key": ""}, {"authority": None}, {"certificate": "x" * (1 << 16)}]
)
def test_credentials_that_are_none_are_refused(change: dict[str, object]) -> None:
    document = {**Authority((NOW,)).issue("a").document(), **change}
    with pytest.raises(TransferError, match="no credentials"):
        parse_credentials(document)


def test_a_key_that_tls_does_not_take_is_not_quoted() -> None:
    made = Authority((NOW,))
    mixed = {**made.issue("a").document(), "key": made.issue("b").key}
    with pytest.raises(TransferError) as caught:
        contexts(parse_credentials(mixed))
    assert mixed["key"].splitlines()[1] not in str(caught.value)
