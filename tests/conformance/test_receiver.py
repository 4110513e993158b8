"""The receiver that computes expectations, compared with the model and the vectors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.codec.model import Model
from vfiipc.codec import Message, SyncLostError
from vfiipc.conformance.receiver import receive
from vfiipc.testing import Stream, streams


def judged_by_model(stream: Stream, strict: bool) -> tuple[list[Message], int | None, int]:
    model = Model(stream.prefix, stream.size_limit, strict=strict)
    model.receive_data(stream.data)
    messages: list[Message] = []
    try:
        while (message := model.next_message()) is not None:
            messages.append(message)
    except SyncLostError as lost:
        return messages, lost.position, lost.position
    return messages, None, len(stream.data) - model.pending


@given(stream=streams(), strict=st.booleans())
def test_the_receiver_agrees_with_the_model(stream: Stream, strict: bool) -> None:
    received = receive(stream.data, stream.prefix, stream.size_limit, strict=strict)
    found = received.messages, received.fault, received.held
    assert found == judged_by_model(stream, strict)


@given(stream=streams(), data=st.data())
def test_a_message_is_delivered_with_its_last_byte(stream: Stream, data: st.DataObject) -> None:
    """FRM-R6, FRM-C1: only the number of bytes sent so far matters."""
    at = data.draw(st.integers(0, len(stream.data)))
    whole = receive(stream.data, stream.prefix, stream.size_limit)
    part = receive(stream.data[:at], stream.prefix, stream.size_limit)
    assert part.deliveries == [each for each in whole.deliveries if each.end <= at]
