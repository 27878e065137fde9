"""The contract's model: entities, contracts, deployments, and errors that say what to write.

What does NOT belong here: reading data (`ingestion`), running checks (`expectations.runner`),
anything of Dagster or dbt.
"""

from expectations.contract.consent import NOT_STATED, PURPOSES, has_consents, legal_bases
from expectations.contract.entity import Entity, Field, load_entities
from expectations.contract.errors import ContractError
from expectations.contract.loader import load_contract, load_deployment
from expectations.contract.model import Churn, Contract, Deployment, KnownAt, Property, Source
from expectations.contract.servers import SYSTEM_FOLDERS
from expectations.contract.transform import META_PREFIX, is_reserved

__all__ = [
    "META_PREFIX",
    "NOT_STATED",
    "PURPOSES",
    "SYSTEM_FOLDERS",
    "Churn",
    "Contract",
    "ContractError",
    "Deployment",
    "Entity",
    "Field",
    "KnownAt",
    "Property",
    "Source",
    "has_consents",
    "is_reserved",
    "legal_bases",
    "load_contract",
    "load_deployment",
    "load_entities",
]
