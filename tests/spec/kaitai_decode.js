// Decodes streams with the compiled Vfiipc.js: node kaitai_decode.js FOLDER < cases > results.
// A case is {prefix, limit, data (hex)}; its result {messages: [[id, data], ...], error, at}.
const path = require("path");
const { KaitaiStream } = require("kaitai-struct");
const { Vfiipc } = require(path.resolve(process.argv[2], "Vfiipc.js"));

function decode({ prefix, limit, data }) {
  const stream = new KaitaiStream(Uint8Array.from(Buffer.from(data, "hex")).buffer);
  const messages = [];
  let at = 0;
  try {
    while (!stream.isEof()) {
      at = stream.pos;
      const message = new Vfiipc.Message(stream, null, null, prefix, limit);
      messages.push([message.msgId, Buffer.from(message.data).toString("hex")]);
    }
  } catch (error) {
    return { messages, error: error.name, at };
  }
  return { messages, error: null, at: stream.pos };
}

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(decode)));
