"""What the server does atomically for a run and its members. Each script says what it takes."""

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A Lua script, and the name under which the server caches it."""

    source: str
    sha: str


def script_of(*parts: str) -> Script:
    """Put a script together."""
    source = "\n".join(part.strip() for part in parts)
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


CHECK = script_of(
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

ONCE = """
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
"""How writes begin, so that each happens once."""

SET_STATE = script_of(
    ONCE,
    """
    -- state, news, call; ..., ttl, expected token with '=' before it or nothing, nonce, state.
    -- Returns the new token, or what stands: its token and the state, or nothing.
    local current = redis.call('HGET', KEYS[1], 'token')
    if ARGV[4] == (current and '=' .. current or '') then
        local id = redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'n', ARGV[5], 'data', ARGV[6])
        local token = id .. ' ' .. ARGV[5]
        redis.call('HSET', KEYS[1], 'token', token, 'data', ARGV[6])
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        redis.call('PEXPIRE', KEYS[2], ARGV[3])
        return reply(token)
    end
    return current and {current, redis.call('HGET', KEYS[1], 'data')} or {}
    """,
)

PUT_MEMBER = script_of(
    ONCE,
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

REMOVE_MEMBER = script_of(
    ONCE,
    """
    -- members, call; ..., node
    redis.call('HDEL', KEYS[1], ARGV[3])
    return reply('')
    """,
)
