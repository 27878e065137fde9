"""Which run new files ask for: one, again where it failed, and never two at once.

Dagster launches nothing twice for one run key. A key of the files alone would so be kept from
running again by a run that failed: the key counts the runs for these files that have ended.

What does not belong here: which files are new (ingestion), when somebody looks (defs/automation).
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from ingestion import PendingFile

#: The files that a run was asked for, as a digest: thousands of file names are not a tag.
FILES_TAG = "habitus/new_files"
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 3600.0
_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def request_run(
    instance: dg.DagsterInstance, pending: Sequence[PendingFile], day: str, now: datetime
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run that takes these files in, or say why none is asked for now.

    Args:
        instance: knows the runs that were asked for before.
        pending: files whose content the ledger does not know; at least one.
        day: the partition to run for.
        now: with a time zone.
    """
    named = "|".join(sorted(f"{f.source}:{f.sha256}:{f.generation}" for f in pending))
    digest = hashlib.sha256(named.encode()).hexdigest()
    records = instance.get_run_records(dg.RunsFilter(tags={FILES_TAG: digest}))
    ended = [record for record in records if record.dagster_run.status in _ENDED]
    if len(ended) < len(records):
        return dg.SkipReason("a run for these files is under way")
    if ended:
        wait = min(FIRST_WAIT_SECONDS * 2 ** (len(ended) - 1), LONGEST_WAIT_SECONDS)
        due = max(record.update_timestamp.timestamp() for record in ended) + wait
        if now.timestamp() < due:
            at = datetime.fromtimestamp(due, UTC)
            return dg.SkipReason(
                f"{len(ended)} runs for {len(pending)} files ended without taking them in; the "
                f"next is tried at {at:%H:%M:%S} UTC"
            )
    return dg.RunRequest(
        run_key=f"{digest}-{len(ended)}", partition_key=day, tags={FILES_TAG: digest}
    )
