"""Requests and responses that a proxy saw, in the lines of Cilium's monitor."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]  # accesslog.LogRecord, as its gob says

_ARROWS = {"Ingress": "<-", "Egress": "->"}
_PROTOCOLS = {"HTTP": "http", "Kafka": "kafka", "DNS": "dns"}
_DNS_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV"}


def line(record: Record) -> str:
    """<- Request http from 12 ([...]) to 34 ([...]), identity 256->257, verdict Forwarded GET http://... => 0."""
    source, destination = record.get("SourceEndpoint", {}), record.get("DestinationEndpoint", {})
    kind = record.get("Type", "")
    words = ("to", "from") if kind == "Response" else ("from", "to")
    return (
        f"{_ARROWS.get(record.get('ObservationPoint', ''), '??')} {kind} {protocol(record)} "
        f"{words[0]} {_endpoint(source)} {words[1]} {_endpoint(destination)}, "
        f"identity {source.get('Identity', 0)}->{destination.get('Identity', 0)}, "
        f"verdict {record.get('Verdict', '')}{_subject(record)}"
    )


def protocol(record: Record) -> str:
    for name, said in _PROTOCOLS.items():
        if name in record:
            return said
    return str(record.get("L7", {}).get("Proto", "unknown-l7"))


def _endpoint(endpoint: Record) -> str:
    labels = endpoint.get("Labels", ())
    return f"{endpoint.get('ID', 0)} ([{' '.join(map(_label, labels))}])"


def _label(label: Any) -> str:
    """Text in releases up to 1.16, parts of one in later."""
    if not isinstance(label, dict):
        return str(label)
    value = label.get("Value", "")
    return f"{label.get('Source', '')}:{label.get('Key', '')}{'=' if value else ''}{value}"


def _subject(record: Record) -> str:
    if http := record.get("HTTP"):
        return f" {http.get('Method', '')} {http.get('URL', '')} => {http.get('Code', 0)}"
    if kafka := record.get("Kafka"):
        topic = kafka.get("Topic", {}).get("Topic", "")
        return f" {kafka.get('APIKey', '')} topic {topic} => {kafka.get('ErrorCode', 0)}"
    if dns := record.get("DNS"):
        return f" {_dns(dns, record.get('Type') == 'Response')}"
    fields = dict(record.get("L7", {}).get("Fields", {}))
    status = fields.pop("status", None)
    said = "".join(f" {name}:{value}" for name, value in fields.items())
    return said if status is None else f"{said} => status:{status}"


def _dns(dns: Record, response: bool) -> str:
    types = ",".join(_DNS_TYPES.get(number, str(number)) for number in dns.get("QTypes", ()))
    query = f"{dns.get('Query', '')} {types}"
    if not response:
        return f"DNS Query: {query}"
    who = {"proxy": "Proxy", "agent-poller": "Poll"}.get(dns.get("ObservationSource", ""), "Query")
    names = f" CNAMEs: {','.join(dns['CNAMEs'])}" if dns.get("CNAMEs") else ""
    return f"DNS {who}: {query} TTL: {dns.get('TTL', 0)} Answer: '{','.join(dns.get('IPs', ()))}'{names}"
