"""What a deployment may use its customers' data for, as its contracts state it.

What does NOT belong here: who consented (dbt's `dim_consents`), or what a purpose leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expectations.contract.errors import ContractError, one_of
from expectations.contract.marks import MarkedYaml
from expectations.contract.model import Contract
from expectations.contract.servers import custom_at

PROPERTY = "habitus.legalBasis"
CONSENTS = "consents"
#: Purposes for which a basis can be stated; a source of consents may bring others.
PURPOSES = ("analytics", "personalisation", "marketing")
BASES = (
    "contract",
    "legal_obligation",
    "legitimate_interest",
    "public_task",
    "vital_interests",
)
NOT_STATED = "not_stated"
#: What goes on where nobody stated anything. Not marketing: nobody is written to by default.
UNSTATED: Mapping[str, str] = {"analytics": NOT_STATED, "personalisation": NOT_STATED}
_EXAMPLE = "Write value: {analytics: legitimate_interest}"


def read_legal_basis(doc: MarkedYaml, value: Any) -> dict[str, str]:
    """The purposes and bases of one contract's `habitus.legalBasis`; empty without one.

    Raises:
        ContractError: No mapping, an unknown purpose, or an unknown basis. `consent` is none that
            a contract can state: the customers give it, through a source.
    """
    if value is None:
        return {}
    at = custom_at(doc, PROPERTY)
    if not isinstance(value, dict) or not value:
        raise doc.error(at, f"{PROPERTY} is no mapping of purposes to bases", _EXAMPLE)
    for purpose, basis in value.items():
        if purpose not in PURPOSES:
            raise doc.error(at, f"unknown purpose `{purpose}`", f"Known: {one_of(PURPOSES)}")
        if basis == "consent":
            raise doc.error(
                at,
                "consent is given by customers, not by a contract",
                f"Add a contract for the entity `{CONSENTS}`",
            )
        if basis not in BASES:
            raise doc.error(at, f"unknown basis `{basis}`", f"Known: {one_of(BASES)}")
    return dict(value)


def check_legal_bases(contracts: Sequence[Contract]) -> None:
    """The contracts of one deployment must not contradict each other.

    Raises:
        ContractError: Two state different bases for a purpose, or one states a basis where a
            source of consents decides.
    """
    asked = next((c for c in contracts if c.entity.name == CONSENTS), None)
    stated: dict[str, Contract] = {}
    for contract in contracts:
        if contract.legal_basis and asked is not None:
            raise ContractError(
                contract.path,
                None,
                f"{PROPERTY} is stated here, but {asked.path.name} brings consents, which decide",
                f"Remove {PROPERTY}",
            )
        for purpose, basis in contract.legal_basis.items():
            first = stated.setdefault(purpose, contract)
            if first.legal_basis[purpose] != basis:
                raise ContractError(
                    contract.path,
                    None,
                    f"the basis for {purpose} is {basis} here and "
                    f"{first.legal_basis[purpose]} in {first.path.name}",
                    "State one",
                )


def has_consents(contracts: Sequence[Contract]) -> bool:
    """Whether a source says who consented to what: then nobody is used without it."""
    return any(c.entity.name == CONSENTS for c in contracts)


def legal_bases(contracts: Sequence[Contract]) -> dict[str, str]:
    """Purpose -> basis that stands for every customer of a deployment.

    Empty where a source of consents decides for each. Where contracts state bases, these alone;
    where nobody states anything, `UNSTATED`.
    """
    if has_consents(contracts):
        return {}
    stated: dict[str, str] = {}
    for contract in contracts:
        stated |= contract.legal_basis
    return stated or dict(UNSTATED)
