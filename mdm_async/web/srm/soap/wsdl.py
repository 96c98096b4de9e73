"""The description that is served (WSDL 1.1 §3): types, messages, one port and where it is, made of the tables."""

from collections.abc import Iterator
from functools import lru_cache
from xml.sax.saxutils import quoteattr

from mdm_async.web.srm.soap.schema import ENUMERATIONS, NAMESPACE, OPERATIONS, SIMPLE, TYPES, Field
from mdm_async.web.srm.soap.writing import ENCODING

_DEFINITIONS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"'
    ' xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
    f' xmlns:srm="{NAMESPACE}" targetNamespace="{NAMESPACE}" name="SRM">'
)
_BODY = f'<soap:body use="encoded" namespace="{NAMESPACE}" encodingStyle="{ENCODING}"/>'


@lru_cache(16)
def description(location: str) -> bytes:
    """`location`: the URL that requests are sent to."""
    return "\n".join(_lines(location)).encode()


def _lines(location: str) -> Iterator[str]:
    yield _DEFINITIONS
    yield f'<wsdl:types><xsd:schema targetNamespace="{NAMESPACE}">'
    for kind, values in ENUMERATIONS.items():
        allowed = "".join(f'<xsd:enumeration value="{value}"/>' for value in values)
        restriction = f'<xsd:restriction base="xsd:string">{allowed}</xsd:restriction>'
        yield f'<xsd:simpleType name="{kind}">{restriction}</xsd:simpleType>'
    for kind, fields in TYPES.items():
        elements = "".join(map(_element, fields.values()))
        yield f'<xsd:complexType name="{kind}"><xsd:sequence>{elements}</xsd:sequence></xsd:complexType>'
    yield "</xsd:schema></wsdl:types>"
    for one in OPERATIONS.values():
        yield _message(f"{one.name}Request", one.request_part, one.request_type)
        yield _message(f"{one.name}Response", one.response_part, one.response_type)
    yield '<wsdl:portType name="ISRM">'
    for name in OPERATIONS:
        told = f'<wsdl:input message="srm:{name}Request"/><wsdl:output message="srm:{name}Response"/>'
        yield f'<wsdl:operation name="{name}">{told}</wsdl:operation>'
    yield '</wsdl:portType><wsdl:binding name="SRM" type="srm:ISRM">'
    yield '<soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>'
    for name in OPERATIONS:
        told = f"<wsdl:input>{_BODY}</wsdl:input><wsdl:output>{_BODY}</wsdl:output>"
        yield f'<wsdl:operation name="{name}"><soap:operation soapAction=""/>{told}</wsdl:operation>'
    yield '</wsdl:binding><wsdl:service name="SRMService"><wsdl:port name="SRM" binding="srm:SRM">'
    yield f"<soap:address location={quoteattr(location)}/></wsdl:port></wsdl:service></wsdl:definitions>"


def _element(field: Field) -> str:
    kind = f"xsd:{field.type}" if field.type in SIMPLE else f"srm:{field.type}"
    least, most = int(field.is_required), "unbounded" if field.is_list else 1
    nillable = ' nillable="true"' if field.is_nillable else ""
    return (
        f'<xsd:element name="{field.name}" type="{kind}" minOccurs="{least}" maxOccurs="{most}"{nillable}/>'
    )


def _message(name: str, part: str, kind: str) -> str:
    return f'<wsdl:message name="{name}"><wsdl:part name="{part}" type="srm:{kind}"/></wsdl:message>'
