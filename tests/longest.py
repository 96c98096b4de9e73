"""The files of tests that take longest, which several processes begin with: so that none ends long after the others."""

import pytest

LONGEST = (
    "attack/test_reach.py",
    "bench/test_bench.py",
    "faults/test_killed.py",
    "catalog/test_acl_model.py",
    "interop/test_orthanc_cache.py",
    "web/test_hidden.py",
    "postgres/test_embedded_starts.py",
    "faults/test_killed_with_keys.py",
    "faults/test_killed_rekeying.py",
    "web/dicomweb/test_retrieve.py",
    "faults/test_killed_making_views.py",
    "test_readme.py",
    "faults/test_killed_rotation.py",
    "faults/test_killed_shredding.py",
    "faults/test_killed_staging.py",
    "catalog/test_visible.py",
    "faults/test_revoked_rights.py",
    "faults/test_split_keys.py",
    "faults/test_revoked.py",
    "faults/test_stopped.py",
    "images/test_face_hooks.py",
    "interop/test_views_by_name.py",
    "interop/test_credentials.py",
    "interop/test_webdav.py",
    "interop/test_srm_commands.py",
    "interop/test_orthanc_sources.py",
    "web/dicomweb/test_exits.py",
    "postgres/test_embedded.py",
    "images/test_stored_in_one_step.py",
    "faults/test_parts_apart.py",
    "faults/test_killed_cache.py",
    "faults/test_killed_scrubbers.py",
    "faults/test_cut_overwrites.py",
    "faults/test_database_away.py",
    "faults/test_keys_untold.py",
    "dicom/test_corpus.py",
    "dicom/test_canary_everywhere.py",
    "dicom/test_profile_import.py",
    "blobs/test_s3_faults.py",
    "identity/test_voms.py",
    "bench/test_entries.py",
)
"""About from the longest to those of twenty seconds."""


def longest_first(items: list[pytest.Item]) -> None:
    """What is not among them stays in its order, after them."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(rank)))
