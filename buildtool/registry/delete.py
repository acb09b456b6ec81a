"""Deletion in registries: a tag alone, or an image with all its tags."""

from buildtool.diag import BuildError
from buildtool.reference import Reference
from buildtool.registry.fault import Fault
from buildtool.registry.repository import Repository

#: How registries refuse that do not know the deletion of a tag; Docker's own took a tag for a wrong digest
#: before its third version.
_NO_TAGS = (400, 405)
#: Tags that are looked at for another one of the same image.
_MOST_TAGS = 200


def delete(repository: Repository, reference: Reference) -> None:
    """Delete a tag, or by its digest an image with every tag that leads to it.

    Where a registry deletes images alone, that is the same for an image with one tag; for one
    with more it is the BuildError `tag-shared`.  Faults of the repository.
    """
    try:
        repository.delete_manifest(reference.version)
    except Fault as fault:
        if reference.digest or fault.status not in _NO_TAGS:
            raise
        _delete_image(repository, reference)


def _delete_image(repository: Repository, reference: Reference) -> None:
    """Delete the image behind a tag, if no other tag leads to it."""
    found = repository.find(reference.tag)
    if found is None:
        raise Fault(f"{reference.host} does not have it", status=404)
    others = [tag for tag in repository.tags() if tag != reference.tag]
    if len(others) > _MOST_TAGS:
        raise _shared(reference, f"there are {len(others)} others, which may be of the same image")
    for tag in others:
        other = repository.find(tag)
        if other is not None and other.digest == found.digest:
            hint = f"buildtool rmi docker://{reference.at(found.digest)} deletes both"
            raise _shared(reference, f"{tag} is the same image", hint)
    repository.delete_manifest(found.digest)


def _shared(reference: Reference, why: str, hint: str = "") -> BuildError:
    what = f"{reference.host} deletes no tag alone, and beside {reference} {why}"
    return BuildError("tag-shared", what, hint=hint, exit_status=1)
