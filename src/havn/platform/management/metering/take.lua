-- Settles one bucket: the same arithmetic as engines/limits/bucket.py, in one step of the counter store.
-- KEYS[1]: a hash with the theoretical arrival time (tat) and each holder's units and expiry (h:<holder>).
-- ARGV: capacity, requests, micros, holder, keeps, returned, need, want, valid, now (empty: the server's time).
local capacity, requests, micros = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local me = 'h:' .. ARGV[4]
local keeps, returned = tonumber(ARGV[5]), tonumber(ARGV[6])
local need, want, valid = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local now = tonumber(ARGV[10])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function cost(units)
    if requests == 0 then return 0 end
    return math.ceil(units * micros / requests)
end

local tat, before, others, gone, last = 0, 0, 0, {}, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'tat' then
        tat = tonumber(value)
    else
        local colon = string.find(value, ':', 1, true)
        local units, expires = tonumber(string.sub(value, 1, colon - 1)), tonumber(string.sub(value, colon + 1))
        if name == me then
            before = units
        elseif expires > now then
            others = others + units
            last = math.max(last, expires)
        else
            gone[#gone + 1] = name
        end
    end
end

keeps = math.min(math.max(keeps, 0), before)
returned = math.min(math.max(returned, 0), before - keeps)
local outstanding = keeps + others

local full, free = now + cost(capacity), capacity - outstanding
if requests > 0 then
    tat = math.min(tat, full) - math.floor(returned * micros / requests)
    tat = math.max(tat, now + cost(outstanding))
    free = math.min(free, math.floor(math.max(0, full - tat) * requests / micros))
else
    tat = 0
end
free = math.max(free, 0)
local spare = math.max(0, math.floor(capacity / 25) - outstanding)
local granted = math.min(free, math.max(need, math.min(want, spare)))
if requests > 0 then tat = tat + cost(granted) end

if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
if keeps + granted > 0 then
    redis.call('HSET', KEYS[1], me, string.format('%.0f:%.0f', keeps + granted, now + valid))
    last = math.max(last, now + valid)
else
    redis.call('HDEL', KEYS[1], me)
end
if last > now or tat > now then
    redis.call('HSET', KEYS[1], 'tat', string.format('%.0f', tat))
    -- A full bucket that nobody holds of is what an absent one is.
    redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(tat, last) - now) / 1000) + 1000)
else
    redis.call('DEL', KEYS[1])
end

local remaining, wait = free - granted, 0
if remaining == 0 and requests > 0 then wait = math.max(1, tat + cost(1) - full) end
return {granted, remaining, string.format('%.0f', wait)}
