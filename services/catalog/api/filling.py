"""Topics that are filled from outside: who may write one, and in which schemas.

Its answers hold a password that is kept nowhere, so its posts are not kept under an `Idempotency-Key` either.
"""

from __future__ import annotations

from typing import Annotated, Literal

from confluent_kafka import KafkaException
from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session

from services.catalog import store
from services.catalog.catalogue import Catalogue, missing, readable
from services.catalog.domain.resource import MountKind, Terms, mount_of, terms_of
from services.catalog.publication import broker_refused, make_topic
from services.catalog.writers import transaction_prefix, writer_name
from services.core import identity
from services.core.forms import Strict
from services.core.identity import Provider, Viewer
from services.core.problems import Problem
from services.core.words import Words


class WriterCredentials(Strict):
    """With what a system fills its topic. Shown once; asking again makes a new password and ends the old one."""

    username: str
    password: str
    mechanism: Literal["SCRAM-SHA-512"] = "SCRAM-SHA-512"
    bootstrap: str
    registry: str
    topic: str
    key_schema_id: Annotated[int, Field(description="Schema of the keys, under `<topic>-key`.")]
    value_schema_id: Annotated[int, Field(description="Schema of the changes, under `<topic>-value`.")]
    transactional_id_prefix: Annotated[str, Field(description="With what its transactional ids must begin.")]


def own(session: Session, viewer: Viewer, request: Request, code: str, *, lock: bool = False) -> store.Resource:
    """The resource, if the viewer mounts for its department; raises a 404 or 403 problem."""
    query = readable(viewer).where(store.Resource.code == code)
    resource = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if resource is None:
        raise missing("resource", code)
    if not viewer.provides_for(resource.department):
        why = Words("You mount resources of your own department only.", "只能挂接本部门的资源。")
        raise identity.refuse(request, viewer, why)
    return resource


def need_kind(resource: store.Resource, *kinds: MountKind) -> None:
    """Raises a 409 problem unless the resource, which is mounted, is mounted on one of these kinds of thing."""
    kind = mount_of(resource.mount or {}).kind
    if kind not in kinds:
        detail = Words(
            f"Resource {resource.code} is mounted on a {kind.value}: this is for a {' or '.join(kinds)}.",
            f"资源 {resource.code} 的挂接类型为 {kind.value}，此操作仅适用于 {'、'.join(kinds)}。",
        )
        raise Problem(409, "mount-kind", Words("Not for this kind of mount", "挂接类型不符"), detail)


def open_topic(catalogue: Catalogue, terms: Terms, system: str) -> WriterCredentials:
    """Make what is missing of a topic that its system fills, and a new password for who writes it.

    Raises a 502 or 503 problem.
    """
    topic, key_id, value_id = make_topic(catalogue, terms, system)
    user, here = writer_name(system, terms.code), catalogue.settings
    try:
        password = catalogue.writers.admit(user, topic)
    except KafkaException as error:
        raise broker_refused(error) from error
    return WriterCredentials(
        username=user,
        password=password,
        bootstrap=here.kafka_public_bootstrap or here.kafka_bootstrap,
        registry=here.registry_public_url or here.registry_url,
        topic=topic,
        key_schema_id=key_id,
        value_schema_id=value_id,
        transactional_id_prefix=transaction_prefix(user),
    )


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter(tags=["mounts"])

    @routes.post("/resources/{code}/mount/credentials", status_code=201)
    def renew_credentials(code: str, viewer: Provider, request: Request) -> WriterCredentials:
        """A new password for the system that fills the topic of a resource; the one before ends at once.

        What is missing of the topic, its schemas and the user's rights is made again.
        """
        with catalogue.session() as session, session.begin():
            resource = own(session, viewer, request, code, lock=True)
            if resource.mount is None or resource.published is None:
                raise missing("mount", code)
            need_kind(resource, MountKind.TOPIC)
            made = open_topic(catalogue, terms_of(resource.published), str(resource.mount["system"]))
            facts = {"username": made.username, "topic": made.topic}
            catalogue.publisher.happened(
                session, "mount_credentials_issued", code, resource.department, viewer.name, facts
            )
            return made

    return routes
