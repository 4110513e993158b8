meta:
  id: vfiipc
  title: ADK IPC messages
  license: MIT
  ks-version: '0.10'
  endian: be
doc: |
  Messages back to back, as a stream holds them that was framed from its first byte. Bytes that
  belong to no message are a validation error: Kaitai Struct cannot search. See README.md for how a
  receiver goes on from there, and framing.md for the rules.
params:
  - id: agreed_prefix
    type: u4
    doc: the prefix that both ends use
  - id: size_limit
    type: u4
    doc: the most bytes of data in a message, 0 to 2147483643
seq:
  - id: messages
    type: message(agreed_prefix, size_limit)
    repeat: eos
types:
  message:
    params:
      - id: agreed_prefix
        type: u4
      - id: size_limit
        type: u4
    seq:
      - id: prefix
        type: u4
        valid: agreed_prefix
        doc: synchronisation mark, chosen by the application
      - id: size
        type: u4
        valid:
          min: 4
          max: size_limit + 4
        doc: "bytes that follow this field: the message ID and the data"
      - id: msg_id
        type: s4
        doc: "free for the application: a request number, a logical channel"
      - id: data
        size: size - 4
        doc: the payload
