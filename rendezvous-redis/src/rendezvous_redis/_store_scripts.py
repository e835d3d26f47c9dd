"""What the server does atomically for the store. Each script says which keys and arguments it takes.

Mailboxes are the one kind of key that is not passed: who waits is known only to the server. They
lie in the slot of the others.
"""

from rendezvous_redis._scripts import ONCE, script_of

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

SET = script_of(
    ONCE,
    _STORE,
    """
    -- key, value, key, value, ...
    for i = 4, #ARGV, 2 do
        put(ARGV[i], ARGV[i + 1])
    end
    return done('')
    """,
)

ADD = script_of(
    ONCE,
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

APPEND = script_of(
    ONCE,
    _STORE,
    """
    -- key, value
    put(ARGV[4], (redis.call('HGET', data, ARGV[4]) or '') .. ARGV[5])
    return done('')
    """,
)

COMPARE_SET = script_of(
    ONCE,
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

DELETE = script_of(ONCE, _STORE, "return done(tostring(redis.call('HDEL', data, ARGV[4])))  -- key")

PUSH = script_of(
    ONCE,
    _STORE,
    """
    -- key, item
    local tail = redis.call('HINCRBY', data, 't' .. ARGV[4], 1)
    redis.call('HSET', data, 'i' .. tail .. ':' .. ARGV[4], ARGV[5])
    tell('q' .. ARGV[4])
    return done('')
    """,
)

POP = script_of(
    ONCE,
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

AWAIT = script_of(
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

FORGET = script_of(
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
