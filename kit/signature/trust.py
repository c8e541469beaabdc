"""Whether a bundle may be used here: its signature, and what this machine demands. Pure.

Rules:

1. A signature that is there must be one of these very bytes, made for a bundle; otherwise the
   bundle is refused, whatever was demanded.
2. Who signed is told by allowed-signers files of this machine alone, never by the bundle.
3. Every policy on this machine applies; one can only demand more than another, never less.
4. All of this comes before the first byte of kit.json is understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import VerificationError
from kit.signature.patterns import matches

if TYPE_CHECKING:
    from kit.signature.allowed_signers import AllowedSigner
    from kit.signature.certificate import Certificate
    from kit.signature.keys import PublicKey

UNSIGNED = "unsigned"
UNKNOWN = "unknown"
SIGNED = "signed"
_GUIDE = "docs/guide/signatures.md"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What this machine can say about who made a bundle."""

    status: str = UNSIGNED
    """`unsigned`; `unknown`: signed, and nobody here vouches for the key; `signed`: by `signer`."""
    signer: str = ""
    """The principal that an allowed-signers file gives the key."""
    key_type: str = ""
    fingerprint: str = ""
    """`SHA256:…` of the key, as `ssh-keygen -l` shows it."""
    why: str = ""
    """Why the key is unknown."""
    authority: str = ""
    """`SHA256:…` of the authority's key, when a certificate says whose the key is."""

    @property
    def text(self) -> str:
        """Return it in words that fit behind a bundle's name."""
        if self.status == UNSIGNED:
            return UNSIGNED
        key = f"{self.key_type} {self.fingerprint}"
        if self.authority:
            key += f", certified by {self.authority}"
        if self.status == SIGNED:
            return f"signed by {self.signer} ({key})"
        return f"signed by an unknown key ({key}: {self.why})"


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy, with its allowed-signers file read."""

    where: str = ""
    """The policy's place, for messages."""
    require_signature: bool = False
    refuse_older: bool = False
    signers: tuple[str, ...] = ()
    """Principals that count; empty: all in the file."""
    signers_file: str = ""
    """Where `allowed` comes from, for messages; empty: nobody is named."""
    allowed: tuple[AllowedSigner, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """What this machine demands of bundles, and the time that it is."""

    rules: tuple[Rule, ...] = ()
    at: float = 0.0
    """Seconds since 1970; decides whether a signer's key still counts."""

    @property
    def refuses_older(self) -> bool:
        """Whether a bundle older than one of the same name seen here is refused."""
        return any(rule.refuse_older for rule in self.rules)

    def look(self, manifest_bytes: bytes, signature: bytes | None, where: str) -> Verdict:
        """Return who signed the bundle at `where`, demanding nothing of it.

        Raises VerificationError when the signature is not one of these bytes.
        """
        verdicts = self._verdicts(manifest_bytes, signature, where)
        return next((verdict for verdict in verdicts if verdict.status == SIGNED), verdicts[0])

    def judge(self, manifest_bytes: bytes, signature: bytes | None, where: str) -> Verdict:
        """Return who signed the bundle at `where`.

        Raises VerificationError when the signature is not one of these bytes, or not what a rule
        demands.
        """
        verdicts = self._verdicts(manifest_bytes, signature, where)
        for rule, verdict in zip(self.rules, verdicts, strict=False):
            if rule.require_signature and verdict.status != SIGNED:
                raise _not_trusted(verdict, rule, where)
        return next((verdict for verdict in verdicts if verdict.status == SIGNED), verdicts[0])

    def _verdicts(self, manifest_bytes: bytes, signature: bytes | None, where: str) -> tuple[Verdict, ...]:
        """Return one verdict a rule, and one without any rule when there is none."""
        rules = self.rules or (Rule(),)
        if signature is None:
            return (NOT_SIGNED,) * len(rules)
        from kit.signature.keys import proven_key

        try:
            key = proven_key(manifest_bytes, signature)
        except VerificationError as error:
            error.where = f"{where}: {error.where}"
            raise
        return tuple(_verdict(key, rule, self.at) for rule in rules)


NOT_SIGNED = Verdict()
NOTHING_DEMANDED = Trust()
"""Demands no signature; one of other bytes is refused all the same."""


def _verdict(key: PublicKey, rule: Rule, at: float) -> Verdict:
    from kit.signature.keys import fingerprint

    signer, why = _find_signer(key, rule, at)
    authority = fingerprint(key.certificate.authority) if key.certificate else ""
    return Verdict(SIGNED if signer else UNKNOWN, signer, key.type, key.fingerprint, why, authority)


def _find_signer(key: PublicKey, rule: Rule, at: float) -> tuple[str, str]:
    """Return who the key belongs to, or nothing and why."""
    if not rule.signers_file:
        return "", "no allowed-signers file is named here"
    anchor, certificate = key.blob, key.certificate
    what = "the key"
    if certificate is not None:
        anchor, what = certificate.authority, "its certificate's authority"
    why = f"{what} is not in {rule.signers_file}"
    for line in rule.allowed:
        if line.key != anchor:
            continue
        if line.is_authority != (certificate is not None):
            certified = "certificates it signed" if line.is_authority else "what it signed itself"
            why = f"{rule.signers_file}: that key is there for {certified} only"
            continue
        objection = line.objection(at) or (certificate.objection(at) if certificate else "")
        name = "" if objection else _name(line.principals, certificate, rule.signers)
        if name:
            return name, ""
        why = f"{rule.signers_file}: {objection}" if objection else _wrong_name(line.principals, rule)
    return "", why


def _name(principals: str, certificate: Certificate | None, signers: tuple[str, ...]) -> str:
    """Return the name that a line gives a key, or nothing when it is not one that counts."""
    if certificate is not None:
        names = [name for name in certificate.principals if matches(name, principals)]
        return next((name for name in names if not signers or name in signers), "")
    if not signers:
        return principals
    return next((name for name in signers if matches(name, principals)), "")


def _wrong_name(principals: str, rule: Rule) -> str:
    if rule.signers:
        return f"{principals} is not among the signers of {rule.where}"
    return f"its certificate names nobody of {principals}"


def _not_trusted(verdict: Verdict, rule: Rule, where: str) -> VerificationError:
    if verdict.status == UNSIGNED:
        return VerificationError(
            "the bundle is unsigned, and this machine demands a signature",
            where=where,
            why=f"demanded by {rule.where}",
            fix=f"have one of its signers run: kit sign -b BUNDLE --key KEY ({_GUIDE})",
        )
    return VerificationError(
        "the bundle is signed by an unknown key, and this machine demands a known one",
        where=where,
        why=f"{verdict.key_type} {verdict.fingerprint}: {verdict.why}; demanded by {rule.where}",
        fix=f"if you know whose key it is, add it to the allowed-signers file ({_GUIDE})",
    )
