"""Documents of Cilium's API about an endpoint, written out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cilium_py.render import Output


def write_api(form: Output, document: object) -> None:
    """Write a document of Cilium's API; in compat as Go does."""
    from cilium_py.endpoint import api
    from cilium_py.render import Output, write_value

    if not form.compat:
        write_value(sys.stdout.buffer, form, document)
        return
    from cilium_py.render.compat import write_document

    as_json = form if not form.is_text else Output.parse("json", compat=True)
    write_document(sys.stdout.buffer, as_json, api.without_zeros(document))
