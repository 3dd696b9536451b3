"""The catalogue in DCAT-AP 3.0.1 (the European profile of W3C's DCAT 3), as JSON-LD and as Turtle.

Every node has a name of its own: blank nodes would be numbered anew in each run. Of the sharing type only what DCAT-AP
has words for is said in its vocabulary (access rights); in our own words it stands in the distributions' rights.
Information items are not part of DCAT: a dataset conforms to its contract, which `odcs` exports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rdflib import Graph

from services.catalog.domain.resource import Channel, PublishedResource, SharingType, UpdateCycle
from services.catalog.exports.labels import CHANNELS, FORMATS, SHARING
from services.catalog.exports.place import Place, json_bytes, rfc3339

Node = dict[str, Any]

_EU = "http://publications.europa.eu/resource/authority"
_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
# the controlled vocabularies that DCAT-AP 3.0.1 asks for (its section "Controlled vocabularies to be used")
_FREQUENCY: Mapping[UpdateCycle, str] = {
    UpdateCycle.REAL_TIME: "CONT",
    UpdateCycle.DAILY: "DAILY",
    UpdateCycle.WEEKLY: "WEEKLY",
    UpdateCycle.MONTHLY: "MONTHLY",
    UpdateCycle.QUARTERLY: "QUARTERLY",
    UpdateCycle.YEARLY: "ANNUAL",
}
_CHANNELS_EN: Mapping[Channel, str] = {
    Channel.TOPIC: "Message topic",
    Channel.TABLE: "Table exchange",
    Channel.API: "API call",
    Channel.PRODUCT: "Custom data product",
    Channel.FILE: "File",
}


def json_ld(place: Place, resources: Iterable[PublishedResource]) -> bytes:
    """The catalogue as JSON-LD."""
    return json_bytes(_document(place, resources))


def turtle(place: Place, resources: Iterable[PublishedResource]) -> bytes:
    """The catalogue as Turtle."""
    graph = Graph(bind_namespaces="none")
    for prefix, namespace in _CONTEXT.items():
        graph.bind(prefix, namespace)
    graph.parse(data=json_bytes(_document(place, resources)), format="json-ld")
    return graph.serialize(format="turtle", encoding="utf-8")


def _document(place: Place, resources: Iterable[PublishedResource]) -> Node:
    nodes: dict[str, Node] = {}
    published = sorted(resources, key=lambda resource: resource.code)
    for resource in published:
        for node in _resource(place, resource):
            nodes[node["@id"]] = node
    for node in _catalogue(place, published):
        nodes[node["@id"]] = node
    return {"@context": _CONTEXT, "@graph": [nodes[name] for name in sorted(nodes)]}


def _catalogue(place: Place, resources: list[PublishedResource]) -> Iterable[Node]:
    publisher = f"{place.address}/#publisher"
    scheme = place.iri("categories")
    yield _node(
        f"{place.address}/#catalogue",
        "dcat:Catalog",
        {
            "dct:title": _titles(place.title, place.title_en),
            "dct:description": _zh(place.abstract),
            "dct:publisher": _link(publisher),
            "dct:language": _link(f"{_EU}/language/ZHO"),
            "dct:modified": _time(max(rfc3339(one.published_at) for one in resources)) if resources else None,
            "foaf:homepage": _link(f"{place.address}/"),
            "dcat:themeTaxonomy": _link(scheme),
            "dcat:dataset": [_link(place.iri("resources", resource.code)) for resource in resources],
        },
    )
    yield _agent(publisher, place.publisher, place.publisher_en, place.publisher_uscc)
    yield _node(scheme, "skos:ConceptScheme", {"dct:title": _titles("信息资源分类", "Resource categories")})
    yield _node(f"{place.address}/", "foaf:Document", {})
    yield _node(f"{_EU}/language/ZHO", "dct:LinguisticSystem", {})


def _resource(place: Place, resource: PublishedResource) -> Iterable[Node]:
    name = place.iri("resources", resource.code)
    department = place.iri("departments", resource.department)
    contract = place.iri("exports", "odcs", resource.code)
    frequency = f"{_EU}/frequency/{_FREQUENCY[resource.update_cycle]}"
    rights = f"{_EU}/access-right/{_access_right(resource)}"
    spatial = f"{place.address}/#division-{resource.division}" if resource.division else None
    law = f"{name}#legal-basis" if resource.legal_basis else None
    # what is not shared has no way to it, whatever its record still says
    shared = resource.sharing_type is not SharingType.NOT_SHARED
    channels = sorted(set(resource.sharing_channels)) if shared else []
    yield _node(
        name,
        "dcat:Dataset",
        {
            "dct:title": _zh(resource.title),
            "dct:description": _zh(resource.abstract),
            "dct:identifier": sorted({resource.code, resource.catalogue_code} - {""}),
            "dct:publisher": _link(department),
            "dct:issued": _time(rfc3339(resource.first_published_at)),
            "dct:modified": _time(rfc3339(resource.published_at)),
            "dct:accessRights": _link(rights),
            "dct:accrualPeriodicity": _link(frequency),
            "dct:language": _link(f"{_EU}/language/ZHO"),
            "dct:conformsTo": _link(contract),
            "dct:spatial": _link(spatial),
            "dct:relation": [_link(place.iri("resources", code)) for code in sorted(set(resource.related))],
            "dcatap:applicableLegislation": _link(law),
            "dcat:contactPoint": _link(f"{department}#contact"),
            "dcat:keyword": [_zh(keyword) for keyword in sorted(set(resource.keywords))],
            "dcat:theme": _link(place.iri("categories", resource.category[-1].code)) if resource.category else None,
            "dcat:version": str(resource.version),
            "dcat:distribution": [_link(f"{name}#{channel.value}") for channel in channels],
        },
    )
    for channel in channels:
        yield from _distribution(name, resource, channel)
    yield _agent(department, resource.department_name, resource.department_name_en, resource.department_uscc)
    yield _node(
        f"{department}#contact", ["vcard:Kind", "vcard:Organization"], {"vcard:fn": _zh(resource.department_name)}
    )
    yield _node(contract, "dct:Standard", {"dct:title": f"ODCS {resource.code} {resource.contract_version}"})
    yield _node(frequency, "dct:Frequency", {})
    yield _node(rights, "dct:RightsStatement", {})
    if spatial:
        yield _node(spatial, "dct:Location", {"dct:identifier": resource.division})
    if law:
        yield _node(law, "eli:LegalResource", {"dct:title": _zh(resource.legal_basis or "")})
    for step, above in zip(resource.category, (None, *resource.category), strict=False):
        yield _node(
            place.iri("categories", step.code),
            "skos:Concept",
            {
                "skos:prefLabel": _zh(step.name),
                "skos:notation": step.code,
                "skos:inScheme": _link(place.iri("categories")),
                "skos:broader": _link(place.iri("categories", above.code)) if above else None,
            },
        )


def _distribution(name: str, resource: PublishedResource, channel: Channel) -> Iterable[Node]:
    terms = SHARING[resource.sharing_type]
    if resource.sharing_conditions:
        terms = f"{terms}：{resource.sharing_conditions}"
    kind = f"{name}#format"
    label = FORMATS[resource.format.kind]
    yield _node(
        f"{name}#{channel.value}",
        "dcat:Distribution",
        {
            "dct:title": _titles(CHANNELS[channel], _CHANNELS_EN[channel]),
            # nothing is handed out without a grant: this is where it is explained and applied for
            "dcat:accessURL": _link(name),
            "dct:format": _link(kind),
            "dct:rights": _link(f"{name}#sharing"),
        },
    )
    yield _node(f"{name}#sharing", "dct:RightsStatement", {"rdfs:label": _zh(terms)})
    yield _node(
        kind,
        "dct:MediaTypeOrExtent",
        {"rdfs:label": _zh(f"{label}：{resource.format.detail}" if resource.format.detail else label)},
    )


def _access_right(resource: PublishedResource) -> str:
    if resource.sharing_type is SharingType.NOT_SHARED:
        return "NON_PUBLIC"
    return "PUBLIC" if resource.openness.open and not resource.openness.conditions else "RESTRICTED"


def _agent(name: str, zh: str, en: str, uscc: str) -> Node:
    return _node(name, "foaf:Agent", {"foaf:name": _titles(zh, en), "dct:identifier": uscc or None})


def _node(name: str, kind: str | list[str], facts: Mapping[str, Any]) -> Node:
    known = {fact: value for fact, value in facts.items() if value is not None and value != []}
    return {"@id": name, "@type": kind, **known}


def _link(name: str | None) -> Node | None:
    return {"@id": name} if name else None


def _zh(text: str) -> Node:
    return {"@value": text, "@language": "zh"}


def _titles(zh: str, en: str) -> list[Node]:
    return [_zh(zh), {"@value": en, "@language": "en"}] if en else [_zh(zh)]


def _time(moment: str) -> Node:
    return {"@value": moment, "@type": "xsd:dateTime"}
