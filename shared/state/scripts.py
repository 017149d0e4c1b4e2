"""The Lua scripts: every change of more than one key that others may see half-done otherwise.

Times come from Redis itself, so that no two machines have to agree on one. Each script is registered once per client
and sent by digest afterwards.
"""

from __future__ import annotations

_NOW = """
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local now = clock()
"""

_RANK = """
local rank = {health = 1, interval = 2, drift = 3, retry = 4, manual = 5, fleet = 6, commit = 7}
local function note_reason(reasons, cluster, reason, actor)
  local old = redis.call('HGET', reasons, cluster)
  if old then
    local was = cjson.decode(old)
    if (rank[was.reason] or 0) >= (rank[reason] or 0) then return end
  end
  redis.call('HSET', reasons, cluster, cjson.encode({reason = reason, actor = actor}))
end
"""

_HELD = """
local function held(holds, queue, cluster)
  return redis.call('HGET', holds, 'fleet')
      or (queue and redis.call('HGET', holds, 'queue/' .. queue))
      or redis.call('HGET', holds, 'cluster/' .. cluster)
end
"""

# KEYS: beat, due, reasons, queues, intervals, holds, revisions, fleet, running
# ARGV: owner, beat lease (ms), limit, queued seconds, intent prefix, id stem
# Returns {leader 0|1, score of the next entry or '', {member, queue, intent, ...}*}
CLAIM = (
    _NOW
    + _HELD
    + """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {0, '', {}} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local sent = {}
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])
for index, member in ipairs(due) do
  local queue = redis.call('HGET', KEYS[4], member)
  local interval = tonumber(redis.call('HGET', KEYS[5], member) or '')
  if not queue or not interval then
    redis.call('ZREM', KEYS[2], member)
  elseif string.sub(member, 1, 7) == 'source/' then
    redis.call('ZADD', KEYS[2], now + interval, member)
    table.insert(sent, {member, queue, ''})
  else
    local cluster = string.sub(member, 6)
    local key = ARGV[5] .. cluster
    local lease = tonumber(redis.call('HGET', key, 'lease') or '0')
    if held(KEYS[6], queue, cluster) then
      redis.call('ZADD', KEYS[2], now + 60, member)
    elseif lease > now then
      redis.call('ZADD', KEYS[2], lease + 0.05, member)
    else
      local died = redis.call('HDEL', key, 'run', 'lease', 'worker')
      redis.call('ZREM', KEYS[9], cluster)
      local intent = redis.call('HGET', key, 'intent')
      local reason = redis.call('HGET', KEYS[3], cluster)
      if not intent then
        intent = ARGV[6] .. '-' .. index
        redis.call('HSET', key, 'intent', intent, 'queued', now)
        -- Who takes over a dead run runs for the same reason.
        if died == 0 then redis.call('HSET', key, 'reason', 'interval', 'actor', 'beat') end
      end
      if reason then
        local why = cjson.decode(reason)
        redis.call('HSET', key, 'reason', why.reason, 'actor', why.actor)
        redis.call('HDEL', KEYS[3], cluster)
      end
      redis.call('HSET', key, 'commits', redis.call('GET', KEYS[7]) or '{}', 'fleet', redis.call('GET', KEYS[8]) or '')
      redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), member)
      table.insert(sent, {member, queue, intent})
    end
  end
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local wait = ''
if first[2] then wait = tostring(tonumber(first[2]) - now) end
return {1, wait, sent}
"""
)

# KEYS: due, reasons; ARGV: reason, actor, delay (s), member*
# Marks members due no later than now + delay; an earlier time stays.
MARK = (
    _NOW
    + _RANK
    + """
for i = 4, #ARGV do
  redis.call('ZADD', KEYS[1], 'LT', now + tonumber(ARGV[3]), ARGV[i])
  if string.sub(ARGV[i], 1, 5) == 'sync/' then note_reason(KEYS[2], string.sub(ARGV[i], 6), ARGV[1], ARGV[2]) end
end
return #ARGV - 3
"""
)

# KEYS: intent, due, running, tokens, holds; ARGV: cluster, intent, run, worker, lease (s), queue
# Returns {'started', token, reason, actor, fleet, commits, queued, now} or {'surplus'|'running'|'held', detail}
START = (
    _NOW
    + _HELD
    + """
if redis.call('HGET', KEYS[1], 'intent') ~= ARGV[2] then return {'surplus', ''} end
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or '0')
if lease > now then return {'running', redis.call('HGET', KEYS[1], 'run')} end
local hold = held(KEYS[5], ARGV[6], ARGV[1])
if hold then
  redis.call('HDEL', KEYS[1], 'intent')
  redis.call('ZADD', KEYS[2], now + 60, 'sync/' .. ARGV[1])
  return {'held', hold}
end
local token = redis.call('INCR', KEYS[4])
local got = redis.call('HMGET', KEYS[1], 'reason', 'actor', 'fleet', 'commits', 'queued')
redis.call('HDEL', KEYS[1], 'intent', 'queued')
redis.call('HSET', KEYS[1], 'run', ARGV[3], 'token', token, 'worker', ARGV[4], 'lease', now + tonumber(ARGV[5]), 'started', now)
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[5]), ARGV[1])
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), 'sync/' .. ARGV[1])
return {'started', token, got[1] or 'interval', got[2] or 'beat', got[3] or '', got[4] or '{}', got[5] or tostring(now), tostring(now)}
"""
)

# KEYS: intent, due, running, holds, journal; ARGV: cluster, token, lease (s), queue, journal entry*
# Renews the lease, checks the holds and writes down what is about to be written.
# Returns {'ok', seconds left}, {'lost', ''} or {'held', hold}; nothing is journalled unless it is ok.
GATE = (
    _NOW
    + _HELD
    + """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] or not redis.call('HGET', KEYS[1], 'run') then return {'lost', ''} end
local lease = tonumber(redis.call('HGET', KEYS[1], 'lease') or '0')
if lease <= now then return {'lost', ''} end
lease = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'lease', lease)
redis.call('ZADD', KEYS[3], lease, ARGV[1])
redis.call('ZADD', KEYS[2], 'XX', 'GT', lease, 'sync/' .. ARGV[1])
local hold = held(KEYS[4], ARGV[4], ARGV[1])
if hold then return {'held', hold} end
for i = 5, #ARGV do redis.call('RPUSH', KEYS[5], ARGV[i]) end
return {'ok', tostring(lease - now)}
"""
)

# KEYS: revisions; ARGV: source, commit
PIN = """
local commits = cjson.decode(redis.call('GET', KEYS[1]) or '{}')
commits[ARGV[1]] = ARGV[2]
redis.call('SET', KEYS[1], cjson.encode(commits))
return 1
"""

# KEYS: intent, journal, due, running, receipts, objects, stream, reasons
# ARGV: cluster, token, next (s), next reason, stream maxlen, n events, (id, json)*, n receipts, (sync, json)*,
#       n objects, (sync, bytes)*, n journal entries, entry*, settle-only 0|1
# An empty receipt or object value removes the field. The journal entries are writes whose outcome nobody knows yet.
# The one end of a run: events, receipts and the freed intent, or nothing. Returns 1, or 0 when fenced off.
FINISH = (
    _NOW
    + _RANK
    + """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
local i = 6
local function count() local n = tonumber(ARGV[i]); i = i + 1; return n end
for _ = 1, count() do
  redis.call('XADD', KEYS[7], 'MAXLEN', '~', ARGV[5], '*', 'id', ARGV[i], 'event', ARGV[i + 1])
  i = i + 2
end
for _, key in ipairs({KEYS[5], KEYS[6]}) do
  for _ = 1, count() do
    if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i]) else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
    i = i + 2
  end
end
redis.call('DEL', KEYS[2])
for _ = 1, count() do redis.call('RPUSH', KEYS[2], ARGV[i]); i = i + 1 end
if ARGV[i] == '1' then return 1 end
redis.call('HDEL', KEYS[1], 'run', 'token', 'lease', 'worker', 'started', 'reason', 'actor')
redis.call('ZREM', KEYS[4], ARGV[1])
local member = 'sync/' .. ARGV[1]
local wanted = redis.call('HEXISTS', KEYS[8], ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[1], 'intent') == 1
if wanted then
  redis.call('ZADD', KEYS[3], now, member)
else
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[3]), member)
  if ARGV[4] ~= 'interval' then note_reason(KEYS[8], ARGV[1], ARGV[4], 'beat') end
end
return 1
"""
)
