"""What a measuring session makes of answers."""

from __future__ import annotations

import marshal

from edgekit.bench.links.base import parsed
from edgekit.measure.session import plain


def test_a_record_holds_plain_data_only() -> None:
    answer = parsed(b'{"ok": {"found": {"nodes_by_provider": {"CPU": 3}, "layers": [{"name": "a"}]}}}')
    assert answer is not None
    found = plain(answer["ok"]["found"])
    assert marshal.loads(marshal.dumps(found)) == {"nodes_by_provider": {"CPU": 3}, "layers": [{"name": "a"}]}
    assert type(found["nodes_by_provider"]) is type(found["layers"][0]) is dict
