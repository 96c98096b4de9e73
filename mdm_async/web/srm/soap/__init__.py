"""SRM v2.2 as the grid speaks it: SOAP 1.1, RPC/encoded, over httpg, on the same operations as the JSON beside it.

`tables/` holds the types, enumerations and operations of the WSDL of SRM v2.2; `schema` reads them. All else is driven
by it: `reading` makes a request's fields of an envelope, `writing` an envelope of an answer's fields, `wsdl` the
description that is served. `encoding` knows how gSOAP's clients carry names that are not ASCII. `over_soap` is the
route. What the fields mean is known to `names`, `requests`, `rights`, `spaces` and `transfers` alone, which `spoken`
gathers; see there how an operation is added.
"""
