-- wrk script: send every request of $REQUESTS once, each behind its length (4 bytes, big-endian); then print one line of
-- JSON, after which wrk is ended from outside. Requests are read before the clock starts.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long tv_sec; long tv_nsec; } walletcli_timespec;
  int clock_gettime(int clock, walletcli_timespec *now);
]]
local MONOTONIC = 1
local requests, sent, answered, others, started, tried = {}, 0, 0, 0, nil, false

local function now()
  local time = ffi.new("walletcli_timespec")
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.tv_sec) + tonumber(time.tv_nsec) / 1e9
end

function init()
  local file = io.open(os.getenv("REQUESTS"), "rb")
  while true do
    local head = file:read(4)
    if not head then break end
    local a, b, c, d = head:byte(1, 4)
    requests[#requests + 1] = file:read(((a * 256 + b) * 256 + c) * 256 + d)
  end
  file:close()
end

-- wrk calls this once before it starts, to see whether it works, and throws the result away.
function request()
  if not tried then
    tried = true
    return requests[1]
  end
  started = started or now()
  if sent < #requests then sent = sent + 1 end
  return requests[sent]
end

-- What is still in flight when all are answered repeats the last request and is not counted.
function response(status)
  if answered == #requests then return end
  answered = answered + 1
  if status < 200 or status > 204 then others = others + 1 end
  if answered == #requests then
    io.write(string.format('{"answered": %d, "refused": %d, "seconds": %.6f}\n', answered, others, now() - started))
    io.flush()
  end
end
