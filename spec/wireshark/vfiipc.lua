-- A Wireshark dissector for ADK IPC messages, as spec/framing.md describes them.
--
-- How to install and use it: README.md beside this file. Rules such as FRM-R5 are those of framing.md.
-- Wireshark 3.6 or newer, with Lua 5.2 to 5.4.

-- The format. Tests compare this table with the one that the library declares. Everything below,
-- offsets and numbers of bytes included, is computed from it.
-- name, bytes (nil: as many as are left), type, byte order, meaning
local DECLARED = {
    { "prefix", 4, "unsigned", "big", "synchronisation mark, chosen by the application" },
    { "size", 4, "unsigned", "big", "bytes that follow this field: the message ID and the data" },
    { "msg_id", 4, "signed", "big", "free for the application: a request number, a logical channel" },
    { "data", nil, "bytes", nil, "the payload" },
}

local LABELS = { prefix = "Prefix", size = "Size", msg_id = "Message ID", data = "Data" }
local MAX_SIZE = 2 ^ 31 - 1 -- framing.md, 2.4
local DEFAULT_PREFIX = "0xc0deface"
local DEFAULT_LIMIT = "16M"
-- No heuristic for prefixes below this: their zero bytes are everywhere (framing.md, 8.5).
local MIN_GUESSED_PREFIX = 0x10000
-- Bytes that nobody could show yet are shown from here on even if that may be too early, see `held_back`.
local MOST_HELD_BACK = 4096
local MESSAGES_IN_INFO = 5
local CHARACTERS_SHOWN = 60
-- Wireshark compares places in the stream like TCP does: more ahead than this would lie behind.
local MOST_WANTED = 2 ^ 30

local vfiipc = Proto("vfiipc", "ADK IPC")

---------------------------------------------------------------------------------------------------
-- Fields

local BASES = { prefix = base.HEX, size = base.DEC, msg_id = base.DEC }

-- Each field by name: where it begins, how many bytes it has, how it is shown.
local function declared_fields()
    local fields, offset = {}, 0
    for _, row in ipairs(DECLARED) do
        local name, width, kind, order, meaning = row[1], row[2], row[3], row[4], row[5]
        local shown
        if kind == "bytes" then
            shown = ProtoField.bytes("vfiipc." .. name, LABELS[name], base.NONE, meaning)
        else
            local make = ProtoField[(kind == "signed" and "int" or "uint") .. 8 * width]
            shown = make("vfiipc." .. name, LABELS[name], BASES[name], nil, nil, meaning)
        end
        fields[name] = { offset = offset, width = width, little = order == "little", shown = shown }
        offset = offset + (width or 0)
    end
    return fields
end

local FIELD = declared_fields()
local HEADER_SIZE = FIELD.data.offset
local PREFIX_AND_SIZE = FIELD.size.offset + FIELD.size.width -- enough to tell a header from garbage, FRM-R5
local MIN_SIZE = HEADER_SIZE - PREFIX_AND_SIZE

local SKIPPED = ProtoField.bytes(
    "vfiipc.skipped", "Skipped", base.NONE, "bytes that belong to no message with this prefix and limit"
)
vfiipc.fields = {
    FIELD.prefix.shown, FIELD.size.shown, FIELD.msg_id.shown, FIELD.data.shown, SKIPPED,
}

local LOST = ProtoExpert.new(
    "vfiipc.lost", "Lost synchronisation", expert.group.SEQUENCE, expert.severity.WARN
)
local INCOMPLETE = ProtoExpert.new(
    "vfiipc.incomplete", "Message is not complete", expert.group.REASSEMBLE, expert.severity.WARN
)
vfiipc.experts = { LOST, INCOMPLETE }

local function number_at(bytes, at, field)
    local value = 0
    for index = 1, field.width do
        local place = field.little and field.width + 1 - index or index
        value = value * 256 + bytes:byte(at + field.offset + place)
    end
    return value
end

local function prefix_bytes(number)
    local bytes = ""
    for _ = 1, FIELD.prefix.width do
        local low = string.char(math.floor(number % 256))
        bytes = FIELD.prefix.little and bytes .. low or low .. bytes
        number = math.floor(number / 256)
    end
    return bytes
end

---------------------------------------------------------------------------------------------------
-- Preferences

vfiipc.prefs.prefix = Pref.string(
    "Prefix", DEFAULT_PREFIX,
    "The prefix of all messages: 0x and hexadecimal digits, a decimal number, or four characters"
)
vfiipc.prefs.limit = Pref.string(
    "Size limit", DEFAULT_LIMIT,
    "The most bytes of data in a message; K, M and G are understood. A larger message is skipped"
)
vfiipc.prefs.ports = Pref.string(
    "Ports", "",
    "TCP ports that carry messages, with a prefix and a limit where they have their own, "
        .. "such as: 5000, 5001=0x004e4659, 5002=ADKI/64K"
)
vfiipc.prefs.guess = Pref.bool(
    "Recognise connections by the prefix", true,
    "Also dissect connections of which a packet begins with a prefix and an acceptable size"
)
vfiipc.prefs.json = Pref.bool("Show JSON", true, "Show data that is JSON as JSON")

local function as_prefix(text)
    local number = tonumber(text:match("^0[xX](%x+)$") or "", 16) or tonumber(text:match("^%d+$") or "")
    if not number and #text == FIELD.prefix.width then
        number = number_at(text, -FIELD.prefix.offset, FIELD.prefix)
    end
    return number and number < 256 ^ FIELD.prefix.width and prefix_bytes(number) or nil
end

local UNITS = { [""] = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30 }

local function as_limit(text)
    local digits, unit = text:upper():match("^(%d+)([KMG]?)$")
    local bytes = digits and tonumber(digits) * UNITS[unit]
    return bytes and bytes <= MAX_SIZE - MIN_SIZE and bytes or nil
end

local function as_port(text)
    local port = tonumber(text:match("^%d+$") or "")
    return port and port >= 1 and port <= 65535 and port or nil
end

-- What holds for a port without settings of its own, and for each port that has some.
local general = { prefix = as_prefix(DEFAULT_PREFIX), limit = as_limit(DEFAULT_LIMIT) }
local of_port = {}

local function complain(name, text, allowed)
    report_failure(("vfiipc: the preference %s has %q; it takes %s"):format(name, text, allowed))
end

local function parsed_port(entry)
    local port, prefix, limit = entry:match("^(%d+)=?$"), "", ""
    if not port then
        port, prefix, limit = entry:match("^(%d+)=([^/]*)/?(.*)$")
    end
    if not port then
        return nil
    end
    local own = {
        prefix = prefix == "" and general.prefix or as_prefix(prefix),
        limit = limit == "" and general.limit or as_limit(limit),
    }
    return as_port(port), own.prefix and own.limit and own
end

local function read_ports()
    local tcp = DissectorTable.get("tcp.port")
    for port in pairs(of_port) do
        tcp:remove(port, vfiipc)
    end
    of_port = {}
    for entry in vfiipc.prefs.ports:gmatch("[^,%s]+") do
        local port, own = parsed_port(entry)
        if port and own then
            of_port[port] = own
            tcp:add(port, vfiipc)
        else
            complain("ports", entry, "PORT, PORT=PREFIX or PORT=PREFIX/LIMIT, separated by commas")
        end
    end
end

function vfiipc.prefs_changed()
    local prefix, limit = as_prefix(vfiipc.prefs.prefix), as_limit(vfiipc.prefs.limit)
    if not prefix then
        complain("prefix", vfiipc.prefs.prefix, "0xC0DEFACE, a decimal number, or 4 characters")
    end
    if not limit then
        complain("limit", vfiipc.prefs.limit, "0 to 2147483643 bytes, such as 65536, 64K or 16M")
    end
    general = { prefix = prefix or general.prefix, limit = limit or general.limit }
    read_ports()
end

local function settings_for(pinfo)
    return of_port[pinfo.dst_port] or of_port[pinfo.src_port] or general
end

---------------------------------------------------------------------------------------------------
-- The receiver

-- How many bytes at the end, of those from `at` on, may still become a prefix: the most that can, FRM-R3.
local function prefix_tail(bytes, at, prefix)
    for count = math.min(#bytes - at, #prefix - 1), 1, -1 do
        if bytes:sub(-count) == prefix:sub(1, count) then
            return count
        end
    end
    return 0
end

local function refusal(size, limit)
    if size < MIN_SIZE then
        return ("a size of %.0f, below %d"):format(size, MIN_SIZE)
    elseif size - MIN_SIZE > limit then
        return ("a size of %.0f, above the limit of %.0f bytes of data"):format(size, limit)
    end
end

-- Goes through the bytes as a receiver does. Returns the parts: messages and skipped bytes, each
-- with `at` and `length`; then, if more bytes are needed, from where on and how many (nil: who knows).
local function receive(bytes, settings)
    local parts, at, from, refused = {}, 0, 0, {}

    local function skip_to(stop)
        if stop > from then
            parts[#parts + 1] = { at = from, length = stop - from, refused = refused }
            refused = {}
        end
        from = stop
    end

    while at < #bytes do
        local found = bytes:find(settings.prefix, at + 1, true)
        if not found then
            local tail = prefix_tail(bytes, at, settings.prefix)
            skip_to(#bytes - tail)
            return parts, tail > 0 and #bytes - tail or nil
        end
        at = found - 1 - FIELD.prefix.offset
        if #bytes - at < PREFIX_AND_SIZE then
            skip_to(at)
            return parts, at
        end
        local size = number_at(bytes, at, FIELD.size)
        local reason = refusal(size, settings.limit)
        if reason then
            refused[#refused + 1] = reason
            at = at + 1
        else
            local length = PREFIX_AND_SIZE + size
            skip_to(at)
            if #bytes - at < length then
                return parts, at, length - (#bytes - at)
            end
            parts[#parts + 1] = { at = at, length = length, is_message = true }
            at = at + length
            from = at
        end
    end
    skip_to(at)
    return parts
end

---------------------------------------------------------------------------------------------------
-- What is shown

local function looks_like_json(text)
    local first, last = text:match("^%s*([%[{]).*([%]}])%s*$")
    return first == "{" and last == "}" or first == "[" and last == "]"
end

local function show_json(range, pinfo, tree)
    if vfiipc.prefs.json and range:len() > 0 and looks_like_json(range:raw()) then
        Dissector.get("json"):call(range:tvb(), pinfo, tree)
    end
end

-- Data that is text stands behind its bytes as text, too.
local function append_text(item, text)
    if text:find("^[%g \t\r\n]+$") then
        local shown = text:sub(1, CHARACTERS_SHOWN):gsub("%s", " ")
        item:append_text(" (" .. shown .. (#text > CHARACTERS_SHOWN and "…)" or ")"))
    end
end

local function show_field(tree, field, range)
    if field.little then
        return tree:add_le(field.shown, range)
    end
    return tree:add(field.shown, range)
end

local function plural(count, word)
    return ("%.0f %s%s"):format(count, word, count == 1 and "" or "s")
end

local function id_of(range)
    local part = range:range(FIELD.msg_id.offset, FIELD.msg_id.width)
    return FIELD.msg_id.little and part:le_int() or part:int()
end

local function show_message(range, pinfo, tree)
    local count = range:len() - HEADER_SIZE
    local said = ("ID %d, %s"):format(id_of(range), plural(count, "byte"))
    local branch = tree:add(vfiipc, range, "ADK IPC message, " .. said)
    for _, row in ipairs(DECLARED) do
        local field = FIELD[row[1]]
        local width = field.width or count
        if width > 0 then
            local item = show_field(branch, field, range:range(field.offset, width))
            if not field.width then
                append_text(item, range:range(field.offset, width):raw())
            end
        end
    end
    if count > 0 then
        show_json(range:range(HEADER_SIZE, count), pinfo, tree)
    end
    return said
end

local function show_skipped(range, tree, refused)
    local said = plural(range:len(), "byte") .. " skipped"
    local branch = tree:add(vfiipc, range, "ADK IPC, " .. said)
    local item = branch:add(SKIPPED, range)
    local why = "These bytes belong to no message"
    if #refused > 0 then
        why = why .. ": a prefix with " .. refused[1]
        if #refused > 1 then
            why = why .. (", and %d more"):format(#refused - 1)
        end
    end
    item:add_proto_expert_info(LOST, why)
    return said
end

local function show_incomplete(range, tree, missing)
    local branch = tree:add(vfiipc, range, "ADK IPC, beginning of a message")
    for _, row in ipairs(DECLARED) do
        local field = FIELD[row[1]]
        local width = field.width or range:len() - field.offset
        if width > 0 and field.offset + width <= range:len() then
            show_field(branch, field, range:range(field.offset, width))
        end
    end
    local said = missing and plural(missing, "byte") .. " missing" or "the rest is missing"
    branch:add_proto_expert_info(INCOMPLETE, "Message is not complete: " .. said)
    return "incomplete message, " .. said
end

-- One packet may hold the end of one reassembled piece and more behind it: two calls, one line.
local last_frame

local function show_info(pinfo, said)
    pinfo.cols.protocol = "VFIIPC"
    local more = #said - MESSAGES_IN_INFO
    local text = table.concat(said, " | ", 1, math.min(#said, MESSAGES_IN_INFO))
    if more > 0 then
        text = ("%s | and %d more"):format(text, more)
    end
    if last_frame == pinfo.number then
        text = " | " .. text
    end
    last_frame = pinfo.number
    pinfo.cols.info:set(text)
    pinfo.cols.info:fence()
end

local function show(tvb, pinfo, tree, parts)
    local said = {}
    for _, part in ipairs(parts) do
        local range = tvb:range(part.at, part.length)
        if part.is_message then
            said[#said + 1] = show_message(range, pinfo, tree)
        else
            said[#said + 1] = show_skipped(range, tree, part.refused)
        end
    end
    return said
end

---------------------------------------------------------------------------------------------------
-- Entry points

local function is_reassembled(tvb)
    return tvb:offset() == 0
end

-- When a packet is dissected anew, reassembled bytes end where the next reassembly begins. What
-- cannot be judged there without the bytes behind it has been judged before: it was skipped.
local function skip_rest(tvb, parts, from)
    local last = parts[#parts]
    if last and not last.is_message then
        last.length = tvb:len() - last.at
    else
        parts[#parts + 1] = { at = from, length = tvb:len() - from, refused = {} }
    end
end

-- Whether to show nothing yet. Wireshark gives reassembled bytes again, from their first one on,
-- when a dissector that was given one segment more still waits inside what came before it: then the
-- same bytes would be shown twice. Only skipped ones can be affected, for no message ends there.
local function held_back(tvb, parts, wanted_from)
    if not is_reassembled(tvb) or wanted_from >= MOST_HELD_BACK then
        return false
    end
    for _, part in ipairs(parts) do
        if part.is_message then
            return false
        end
    end
    return true
end

local function dissect(tvb, pinfo, tree)
    local bytes = tvb:raw()
    local parts, wanted_from, wanted = receive(bytes, settings_for(pinfo))
    if wanted_from and pinfo.visited and is_reassembled(tvb) then
        skip_rest(tvb, parts, wanted_from)
        wanted_from = nil
    end
    local may_wait = pinfo.can_desegment > 0 and tvb:len() == tvb:reported_len()
    if wanted_from and may_wait then
        if held_back(tvb, parts, wanted_from) then
            parts, wanted_from = {}, 0
        end
        pinfo.desegment_offset = wanted_from
        pinfo.desegment_len = wanted and math.min(wanted, MOST_WANTED) or DESEGMENT_ONE_MORE_SEGMENT
    end
    local said = show(tvb, pinfo, tree, parts)
    if wanted_from and not may_wait then
        said[#said + 1] = show_incomplete(tvb:range(wanted_from), tree, wanted)
    end
    if #said > 0 then
        show_info(pinfo, said)
    end
    return tvb:len()
end

local function begins_with_header(tvb, pinfo)
    local settings = settings_for(pinfo)
    if not vfiipc.prefs.guess or tvb:len() < PREFIX_AND_SIZE then
        return false
    end
    local bytes = tvb:raw(0, PREFIX_AND_SIZE)
    return number_at(bytes, 0, FIELD.prefix) >= MIN_GUESSED_PREFIX
        and bytes:sub(FIELD.prefix.offset + 1, FIELD.prefix.offset + FIELD.prefix.width) == settings.prefix
        and not refusal(number_at(bytes, 0, FIELD.size), settings.limit)
end

local function guess(tvb, pinfo, tree)
    if not begins_with_header(tvb, pinfo) then
        return false
    end
    pinfo.conversation = vfiipc
    -- Called through Wireshark, it would be one layer too deep to ask for reassembly.
    dissect(tvb, pinfo, tree)
    return true
end

vfiipc.dissector = dissect
vfiipc:register_heuristic("tcp", guess)
DissectorTable.get("tcp.port"):add_for_decode_as(vfiipc)
