"""What the server does atomically. Each script says which keys and arguments it takes.

Mailboxes are the one kind of key that is not passed: who waits is known only to the server. They
lie in the slot of the others.
"""

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A Lua script, and the name under which the server caches it."""

    source: str
    sha: str


def _script(*parts: str) -> Script:
    source = "\n".join(part.strip() for part in parts)
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


CHECK = _script(
    """
    -- KEYS of the run, and four that come to be and expire; ttl. Lets the run live on, and does once
    -- all that is ever done: returns what the server refuses, each by its name and the reply.
    if #KEYS == 0 then
        return {}
    end
    local refused = {}
    local function try(name, ...)
        local reply = redis.pcall(name, ...)
        if type(reply) == 'table' and reply.err then
            refused[#refused + 1] = name
            refused[#refused + 1] = reply.err
        end
    end
    local hash, stream, set, text = unpack(KEYS, #KEYS - 3)
    try('TIME')
    try('SET', text, '', 'EX', 1)
    try('GET', text)
    try('HSET', hash, 'field', 1)
    try('HINCRBY', hash, 'field', 1)
    try('HGET', hash, 'field')
    try('HMGET', hash, 'field')
    try('HEXISTS', hash, 'field')
    try('HGETALL', hash)
    try('HKEYS', hash)
    try('HLEN', hash)
    try('HSCAN', hash, 0)
    try('HDEL', hash, 'other')
    try('XADD', stream, 'MAXLEN', 1, '*', 'field', 1)
    try('XREAD', 'STREAMS', stream, 0)
    try('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    try('ZADD', set, 1, 'member')
    try('ZRANGEBYSCORE', set, '-inf', 0)
    try('ZREM', set, 'other')
    try('EXPIRE', hash, 1)
    for i = 1, #KEYS do
        try('PEXPIRE', KEYS[i], i > #KEYS - 4 and 1000 or ARGV[1])
    end
    return refused
    """
)

_ONCE = """
    -- KEYS: ..., call; ARGV: number of the call, seconds to remember it, ...
    -- A call that is repeated because its reply was lost gets the reply of the first time; one that
    -- arrives after its successor does nothing.
    local call = KEYS[#KEYS]
    local last = redis.call('GET', call)
    if last then
        local space = string.find(last, ' ', 1, true)
        if tonumber(string.sub(last, 1, space - 1)) >= tonumber(ARGV[1]) then
            return string.sub(last, space + 1)
        end
    end
    local function reply(result)
        redis.call('SET', call, ARGV[1] .. ' ' .. result, 'EX', ARGV[2])
        return result
    end
"""

SET_STATE = _script(
    _ONCE,
    """
    -- state, news, call; ..., ttl, expected token with '=' before it or nothing, nonce, state.
    -- Returns the new token, or what stands: its token and the state, or nothing.
    local current = redis.call('HGET', KEYS[1], 'token')
    if ARGV[4] == (current and '=' .. current or '') then
        local token = redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'n', ARGV[5]) .. ' ' .. ARGV[5]
        redis.call('HSET', KEYS[1], 'token', token, 'data', ARGV[6])
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        redis.call('PEXPIRE', KEYS[2], ARGV[3])
        return reply(token)
    end
    return current and {current, redis.call('HGET', KEYS[1], 'data')} or {}
    """,
)

PUT_MEMBER = _script(
    _ONCE,
    """
    -- members, bell, values, queues, views, other keys of the run, call; ..., ttl, node, record, whether
    -- to announce, seconds, views of the store that are in use. Forgets what lies under views that have
    -- not been in use for so many seconds.
    if ARGV[6] == '1' then
        redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'n', ARGV[4])
    end
    redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
    local now = tonumber(redis.call('TIME')[1])
    for i = 8, #ARGV do
        redis.call('ZADD', KEYS[5], now, ARGV[i])
    end
    for _, view in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. now - ARGV[7])) do
        for i = 3, 4 do
            local cursor = '0'
            repeat
                local page = redis.call('HSCAN', KEYS[i], cursor, 'COUNT', 1000)
                cursor = page[1]
                for j = 1, #page[2], 2 do
                    local field = page[2][j]
                    local key = i == 3 and field or string.match(field, '^i%d+:(.*)') or string.sub(field, 2)
                    if string.sub(key, 1, #view + 1) == view .. '/' then
                        redis.call('HDEL', KEYS[i], field)
                    end
                end
            until cursor == '0'
        end
        redis.call('ZREM', KEYS[5], view)
    end
    for i = 1, #KEYS - 1 do
        redis.call('PEXPIRE', KEYS[i], ARGV[3])
    end
    return reply('')
    """,
)

REMOVE_MEMBER = _script(
    _ONCE,
    """
    -- members, call; ..., node
    redis.call('HDEL', KEYS[1], ARGV[3])
    return reply('')
    """,
)

_STORE = """
    -- Writes of the store: data, waiters, call; ..., ttl, ...
    local data, waiters = KEYS[1], KEYS[2]
    local function done(result)
        redis.call('PEXPIRE', data, ARGV[3])
        return reply(result)
    end
    local function tell(name)
        local boxes = redis.call('HGET', waiters, name)
        if boxes then
            redis.call('HDEL', waiters, name)
            for box in string.gmatch(boxes, '%S+') do
                local mailbox = waiters .. ':' .. box
                redis.call('XADD', mailbox, 'MAXLEN', '~', 1000, '*', 'n', name)
                redis.call('EXPIRE', mailbox, 60)
            end
        end
    end
    local function put(key, value)
        if redis.call('HSET', data, key, value) == 1 then
            tell('k' .. key)
        end
    end
"""

SET = _script(
    _ONCE,
    _STORE,
    """
    -- key, value, key, value, ...
    for i = 4, #ARGV, 2 do
        put(ARGV[i], ARGV[i + 1])
    end
    return done('')
    """,
)

ADD = _script(
    _ONCE,
    _STORE,
    """
    -- key, amount. Returns the sum, or '!' where there can be none
    local known = redis.call('HEXISTS', data, ARGV[4])
    local sum = redis.pcall('HINCRBY', data, ARGV[4], ARGV[5])
    if type(sum) == 'table' then
        local impossible = string.find(sum.err, 'integer') or string.find(sum.err, 'overflow')
        return impossible and done('!') or sum
    end
    if known == 0 then
        tell('k' .. ARGV[4])
    end
    return done(redis.call('HGET', data, ARGV[4]))
    """,
)

APPEND = _script(
    _ONCE,
    _STORE,
    """
    -- key, value
    put(ARGV[4], (redis.call('HGET', data, ARGV[4]) or '') .. ARGV[5])
    return done('')
    """,
)

COMPARE_SET = _script(
    _ONCE,
    _STORE,
    """
    -- key, expected, desired. Returns '=' once written, '?' for a missing key, '!' with what stands
    local current = redis.call('HGET', data, ARGV[4])
    if (current or '') == ARGV[5] then
        put(ARGV[4], ARGV[6])
        return done('=')
    end
    return done(current and '!' .. current or '?')
    """,
)

DELETE = _script(_ONCE, _STORE, "return done(tostring(redis.call('HDEL', data, ARGV[4])))  -- key")

PUSH = _script(
    _ONCE,
    _STORE,
    """
    -- key, item
    local tail = redis.call('HINCRBY', data, 't' .. ARGV[4], 1)
    redis.call('HSET', data, 'i' .. tail .. ':' .. ARGV[4], ARGV[5])
    tell('q' .. ARGV[4])
    return done('')
    """,
)

POP = _script(
    _ONCE,
    _STORE,
    """
    -- key. Returns '=' and the item, or '?'; an empty queue leaves nothing behind
    local head, tail = 'h' .. ARGV[4], 't' .. ARGV[4]
    local last = redis.call('HGET', data, tail)
    if not last then
        return done('?')
    end
    local number = redis.call('HINCRBY', data, head, 1)
    local place = 'i' .. number .. ':' .. ARGV[4]
    local item = redis.call('HGET', data, place)
    redis.call('HDEL', data, place)
    if tostring(number) == last then
        redis.call('HDEL', data, head, tail)
    end
    return done('=' .. item)
    """,
)

AWAIT = _script(
    """
    -- values, queues, waiters; ttl, mailbox, names. Returns the names that are there; the mailbox
    -- will be told of the others: 'k' and a key, or 'q' and a queue.
    local there = {}
    for i = 3, #ARGV do
        local name, key = ARGV[i], string.sub(ARGV[i], 2)
        local is_key = string.sub(name, 1, 1) == 'k'
        if redis.call('HEXISTS', is_key and KEYS[1] or KEYS[2], is_key and key or 't' .. key) == 1 then
            there[#there + 1] = name
        else
            local boxes = redis.call('HGET', KEYS[3], name) or ''
            if not string.find(boxes, ARGV[2], 1, true) then
                redis.call('HSET', KEYS[3], name, boxes .. ARGV[2] .. ' ')
            end
        end
    end
    redis.call('PEXPIRE', KEYS[3], ARGV[1])
    return there
    """
)

FORGET = _script(
    """
    -- waiters; mailbox, names
    for i = 2, #ARGV do
        local boxes = string.gsub(redis.call('HGET', KEYS[1], ARGV[i]) or '', ARGV[1] .. ' ', '')
        if boxes == '' then
            redis.call('HDEL', KEYS[1], ARGV[i])
        else
            redis.call('HSET', KEYS[1], ARGV[i], boxes)
        end
    end
    """
)
