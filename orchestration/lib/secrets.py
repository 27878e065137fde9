"""A deployment's keyring and vault, from its settings.

What does not belong here: how keys are kept (privacy/keys.py), what is done with them.
"""

from contextlib import closing

from expectations.contract import load_deployment
from ingestion import IngestKeys
from ingestion.ledger import Ledger
from orchestration.config import Settings
from privacy.keys import RECORD, TOKEN, Keyring
from privacy.rotate import enter_version
from privacy.suppression import read_list, suppression_secret
from privacy.tokens import TokenKey
from privacy.vault import Vault

#: A run adds one segment for each batch; so many lie side by side before they become one.
MANY_SEGMENTS = 64


def keyring(habitus: Settings) -> Keyring:
    """The keys of the data home; those that the environment holds win."""
    return Keyring(habitus.keys, dict(habitus.given_keys))


def vault(habitus: Settings) -> Vault:
    """The deployment's vault, open: only for steps that must see clear values."""
    return Vault(habitus.vault, keyring(habitus))


def record_secrets(habitus: Settings) -> tuple[bytes, ...]:
    """The record keys, from the first on: what is hashed is hashed under each in turn."""
    return tuple(key.secret for key in keyring(habitus).chain(RECORD))


def ingest_keys(habitus: Settings) -> IngestKeys:
    """What ingestion works with: it can add to the vault and not read it.

    Raises:
        KeyringError: a key is missing, malformed or open to others.
        RotationError: the data's tokens or hashes are of other keys than those that stand.
    """
    keys = keyring(habitus)
    # First: a home that is older than the record key has a token key, and derives the one from it.
    records = record_secrets(habitus)
    token = keys.current(TOKEN)
    is_new = not habitus.ledger.exists()
    enter_version(habitus.vault, token.version, is_new=is_new)
    enter_version(habitus.vault, len(records), is_new=is_new, purpose=RECORD)
    out = read_list(
        habitus.deployment_home / "erasures" / "suppressed.txt", *map(suppression_secret, records)
    )
    return IngestKeys(TokenKey.of(token), records, vault(habitus).sealer, out)


def tidy_vault(habitus: Settings) -> int:
    """Bring a vault of many segments into one; gives the bytes saved. The run's lock is held."""
    opened = vault(habitus)
    if opened.segments < MANY_SEGMENTS:
        return 0
    with closing(Ledger(habitus.ledger)) as ledger:
        sources = [contract.name for contract in load_deployment(habitus.contracts).contracts]
        return opened.compact([batch for name in sources for batch in ledger.unfinished(name)])
